package trace

import (
	"bytes"
	"regexp"
)

// secretHeader finds the header fields that carry what a password can be
// guessed from: the response, the client nonce and the proof of a resumed
// nonce (RFC 7616 3.4, 3.5). Realm, user name and algorithm stay readable.
var (
	secretHeader = regexp.MustCompile(`(?im)^(?:proxy-)?(?:authorization|authentication-info)[ \t]*:[^\r\n]*`)
	secretParam  = regexp.MustCompile(`(?i)\b(response|cnonce|rspauth|auts)[ \t]*=[ \t]*("[^"]*"?|[^,\s]*)`)
)

// Masked returns the message with digest responses replaced by stars. The
// input is not changed; where nothing is secret it is returned as it is.
func Masked(raw []byte) []byte {
	head, body, found := bytes.Cut(raw, []byte("\r\n\r\n"))
	if !secretHeader.Match(head) {
		return raw
	}
	out := secretHeader.ReplaceAllFunc(head, func(line []byte) []byte {
		return secretParam.ReplaceAll(line, []byte(`$1="***"`))
	})
	if found {
		out = append(append(out, "\r\n\r\n"...), body...)
	}
	return out
}
