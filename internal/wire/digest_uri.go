package wire

import (
	"fmt"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// CheckRequestURI says why a text cannot stand in a request line, or nil. Its
// scheme and its sense are not looked at.
func CheckRequestURI(s string) error {
	_, err := wireURI(s)
	return err
}

// wireURI makes the Request-URI that goes out for s, byte for byte as it is
// written. The digest is computed over it, so the two must not differ (RFC 7616
// 3.4.6, RFC 8760 2.6), and a URI that we were given, such as a GRUU or a remote
// target, is not ours to rewrite. sipgo's own rendering makes ";lr=" to ";lr" and
// ":05060" to ":5060", and of a quoted string with a ";" in it something else.
func wireURI(s string) (sip.Uri, error) {
	var uri sip.Uri
	scheme, rest, found := strings.Cut(s, ":")
	if !found || scheme == "" || rest == "" {
		return uri, fmt.Errorf("request URI %q is none", s)
	}
	if strings.ContainsFunc(s, isBlankOrControl) {
		return uri, fmt.Errorf("request URI %q has a blank or a control character", s)
	}
	// What follows a scheme that sipgo does not know is left as it is. Where the
	// request goes to is set beside it and not read from here.
	if err := sip.ParseUri("raw:"+rest, &uri); err != nil {
		return uri, fmt.Errorf("request URI %q: %w", s, err)
	}
	uri.Scheme = scheme
	return uri, nil
}
