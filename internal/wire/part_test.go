package wire_test

import (
	"fmt"
	"strings"
	"testing"

	"regwatch/internal/wire"
)

// RFC 2046 5.1: the part that is asked for is found among others, with line ends of
// either kind, and as far as it goes where the body is cut off.
func TestPart(t *testing.T) {
	body := "preamble\r\n--b\r\nContent-Type: text/plain\r\n\r\nno\r\n--b\r\nContent-Type: Application/X; a=b\r\n\r\nyes\r\n--b--\r\n"
	for _, c := range []struct{ name, kind, body, want string }{
		{"CRLF", `multipart/mixed; boundary="b"`, body, "yes"},
		{"LF", "multipart/related;boundary=b", strings.ReplaceAll(body, "\r\n", "\n"), "yes"},
		{"cut off", "multipart/mixed;boundary=b", body[:strings.Index(body, "yes")+2], "ye"},
		{"no boundary", "multipart/mixed", body, ""},
		{"another boundary", "multipart/mixed;boundary=c", body, ""},
		{"no such part", "multipart/mixed;boundary=b", strings.ReplaceAll(body, "Application", "audio"), ""},
		{"too many", "multipart/mixed;boundary=b", strings.Repeat("--b\r\nA: b\r\n\r\n\r\n", 20) + body, ""},
	} {
		r := wire.Request{Headers: wire.Headers{{Name: "Content-Type", Value: c.kind}}, Body: []byte(c.body)}
		if got := string(r.Part("application/x")); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestChallenges(t *testing.T) {
	h := wire.Headers{
		{Name: "WWW-Authenticate", Value: `Digest realm="a", nonce="n", algorithm=SHA-256, qop="auth,auth-int", stale=TRUE, Digest realm="b", nonce="n"`},
		{Name: "Authorization", Value: `Digest username="al\"ice", realm="a", response="secret"`},
	}
	if got, want := fmt.Sprint(h.Challenges("WWW-Authenticate")), "[{Digest a  SHA-256 [auth auth-int] true} {Digest b   [] false}]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := fmt.Sprint(h.Challenges("Authorization")), `[{Digest a al"ice  [] false}]`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
