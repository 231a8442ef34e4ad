package tui

import (
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// dots stand where text was cut out. Three full stops, not the ellipsis: that
// is as wide as two columns on some terminals.
const dots = "..."

// width is how many columns a string takes, styling not counted.
// Nearly all text is plain and takes the short way.
func width(s string) int {
	if plain(s) {
		return len(s)
	}
	return ansi.StringWidth(s)
}

// head is the first w columns of s, less one where a wide character is at the
// edge.
func head(s string, w int) string {
	switch {
	case w <= 0:
		return ""
	case plain(s):
		return s[:min(w, len(s))]
	}
	return ansi.Truncate(s, w, "")
}

// tail is s without its first n columns.
func tail(s string, n int) string {
	if plain(s) {
		return s[min(max(n, 0), len(s)):]
	}
	return ansi.TruncateLeft(s, n, "")
}

// fit makes s exactly w columns wide: cut at the end, or filled with blanks.
// Styling in s stays whole.
func fit(s string, w int) string {
	if w <= 0 {
		return ""
	}
	n := width(s)
	if n > w {
		s = head(s, w)
		n = width(s) // less than w where a wide character was at the edge
	}
	return s + strings.Repeat(" ", w-n)
}

// fitRight makes s exactly w columns wide with the blanks in front.
func fitRight(s string, w int) string {
	if n := width(s); n < w {
		return strings.Repeat(" ", w-n) + s
	}
	return fit(s, w)
}

// wordRoom is how many columns cutEnd may give up so as not to cut a word; of a
// narrow place a quarter.
const wordRoom = 16

// cutEnd shortens s to at most w columns, saying so with dots. It cuts between two
// words; one that is long, as a URI is, it takes apart.
func cutEnd(s string, w int) string {
	if width(s) <= w {
		return s
	}
	if w <= len(dots) {
		return head(s, w)
	}
	kept := head(s, w-len(dots))
	if i := strings.LastIndexByte(kept, ' '); i > 0 && width(kept[i:]) <= min(wordRoom, w/4) && !strings.HasPrefix(s[len(kept):], " ") {
		kept = strings.TrimRight(kept[:i], " ,:;")
	}
	return kept + dots
}

// cutMiddle shortens s to at most w columns, keeping both ends; the start gets
// the odd column.
func cutMiddle(s string, w int) string {
	n := width(s)
	if n <= w {
		return s
	}
	if w < len(dots)+2 {
		return head(s, w)
	}
	back := (w - len(dots)) / 2
	return head(s, w-len(dots)-back) + dots + tail(s, n-back)
}

// uriParts is a SIP URI taken apart for showing; it judges nothing.
type uriParts struct{ scheme, user, host, rest string }

// splitURI takes a URI apart. The user part may hold anything but "@": the
// last "@" before the parameters divides, as a user part may carry ";".
func splitURI(uri string) uriParts {
	var p uriParts
	if i := strings.IndexByte(uri, ':'); i >= 0 && !strings.ContainsAny(uri[:i], "@;[.") {
		p.scheme, uri = uri[:i+1], uri[i+1:]
	}
	if i := strings.LastIndexByte(uri, '@'); i >= 0 {
		p.user, uri = uri[:i+1], uri[i+1:]
	}
	if i := strings.IndexAny(uri, ";?>"); i >= 0 {
		uri, p.rest = uri[:i], uri[i:]
	}
	p.host = uri
	return p
}

// shortURI is what tells one contact from another at a glance: user, host and
// port. The scheme stays where it is not sip.
func shortURI(uri string) string {
	p := splitURI(uri)
	if p.scheme == "sip:" || p.scheme == "sips:" {
		p.scheme = ""
	}
	if p.host == "" && p.user == "" {
		return uri
	}
	return p.scheme + p.user + p.host
}

// hostOf is the host of a URI without user, port or brackets' content changed:
// what a column calls a device by. The whole URI where it has none.
func hostOf(uri string) string {
	host := splitURI(uri).host
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		host = host[:i]
	}
	if host == "" {
		return uri
	}
	return host
}

// cutURI shortens a URI to at most w columns. Parameters go first, then the
// scheme, then the middle of the host, whose end and port stay, then the middle
// of the user part.
func cutURI(uri string, w int) string {
	if width(uri) <= w {
		return uri
	}
	p := splitURI(uri)
	if p.host == "" || p.scheme+p.user == "" && strings.Contains(p.host, " ") {
		return cutMiddle(uri, w)
	}
	if whole := p.scheme + p.user + p.host; p.rest != "" {
		if left := w - width(whole); left >= len(dots)+1 {
			return whole + cutMiddle(p.rest, left)
		} else if left >= 0 {
			return whole
		}
	}
	if width(p.user+p.host) <= w {
		return p.user + p.host
	}
	// The end of the host with its port is worth at least half of the room, and
	// the whole where dots would take the place of what they leave out.
	user, host := p.user, max(w/2, 8)
	if width(p.host) <= host+len(dots) {
		host = width(p.host)
		if room := w - host; room < len("0...9@") && room >= len(dots) {
			return dots + p.host
		}
	}
	if room := w - min(width(p.host), host); width(user) > room {
		user = cutMiddle(strings.TrimSuffix(user, "@"), max(room-1, 1)) + "@"
		if room < 3 {
			user = ""
		}
	}
	room := w - width(user)
	if n := width(p.host); n > room {
		if room <= len(dots) {
			return cutMiddle(user+p.host, w)
		}
		return user + dots + tail(p.host, n-(room-len(dots)))
	}
	return user + p.host
}
