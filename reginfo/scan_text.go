package reginfo

import (
	"bytes"
	"strconv"
	"unicode/utf8"

	"regwatch/reginfo/finding"
)

// Small helpers of the scanner: names, white space, references.

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

func skipSpace(d []byte, i int) int {
	for i < len(d) && isSpace(d[i]) {
		i++
	}
	return i
}

func trimSpace(b []byte) []byte {
	for len(b) > 0 && isSpace(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && isSpace(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

// nameStart is more lax than XML: all beyond ASCII may begin a name.
func nameStart(c byte) bool {
	return c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' || c == ':' || c >= utf8.RuneSelf
}

func nameEnd(d []byte, i int) int {
	for i < len(d) && (nameStart(d[i]) || d[i] >= '0' && d[i] <= '9' || d[i] == '-' || d[i] == '.') {
		i++
	}
	return i
}

// tagStop reports what ends a word in a broken tag.
func tagStop(c byte) bool { return isSpace(c) || c == '>' || c == '<' }

func splitName(name []byte) (prefix, local []byte) {
	if i := bytes.IndexByte(name, ':'); i >= 0 {
		return name[:i], name[i+1:]
	}
	return nil, name
}

// opensURI reports whether what follows a "<" is a URI rather than a tag.
func opensURI(b []byte) bool {
	for _, scheme := range [...]string{"sip:", "sips:", "tel:", "urn:"} {
		if len(b) > len(scheme) && bytes.EqualFold(b[:len(scheme)], []byte(scheme)) {
			return true
		}
	}
	return false
}

// swallowedTag returns where in an attribute value a tag of a reginfo document
// begins, or -1: then the value's closing quote is missing.
func swallowedTag(value []byte) int {
	for from := 0; ; {
		i := bytes.IndexByte(value[from:], '<')
		if i < 0 {
			return -1
		}
		i += from
		rest := value[i+1:]
		if len(rest) > 0 && rest[0] == '/' {
			return i
		}
		_, local := splitName(rest[:nameEnd(rest, 0)])
		switch string(local) {
		case "reginfo", "registration", "contact", "uri", "display-name", "unknown-param", "pub-gruu", "temp-gruu":
			return i
		}
		from = i + 1
	}
}

// swallowedName returns where an attribute value should have ended, when what
// was taken for its closing quote opens the value of the next attribute, or -1.
// After a closing quote comes white space or the end of the tag.
func swallowedName(value, after []byte) int {
	if len(value) == 0 || value[len(value)-1] != '=' {
		return -1
	}
	if len(after) > 0 && (tagStop(after[0]) || after[0] == '/') {
		return -1
	}
	word := bytes.LastIndexAny(value, " \t\r\n")
	if word < 0 {
		return -1
	}
	switch string(value[word+1 : len(value)-1]) {
	case "id", "state", "event", "expires", "retry-after", "duration-registered", "q", "callid", "cseq", "aor", "version", "uri", "first-cseq":
		return word
	}
	return -1
}

// show puts a name from the document into a finding, cut to a sane length.
func show(name []byte) string {
	const most = 64
	if len(name) > most {
		return string(name[:most]) + "..."
	}
	return string(name)
}

// needsResolving reports whether an attribute value differs from what was
// written.
func needsResolving(value []byte) bool {
	for _, c := range value {
		if c == '&' || c < ' ' {
			return true
		}
	}
	return false
}

// resolve appends raw to dst with references replaced and line ends made
// uniform (XML 1.0 2.11); in attributes white space becomes blanks (3.3.3). An
// "&" that begins no reference we know stays as it is: registrars forget to
// escape the ones in URIs.
func (s *scanner) resolve(dst, raw []byte, pos int, inAttr bool) []byte {
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		switch {
		case c == '&':
			r, n := reference(raw[i:])
			if n == 0 {
				what := "an & that is not escaped: "
				if end := nameEnd(raw, i+1); end > i+1 && end < len(raw) && raw[end] == ';' {
					what = "an entity that XML does not know, kept as it is: "
				}
				s.report(finding.MalformedXML, pos, what+show(raw[i:min(len(raw), i+24)]))
				dst = append(dst, '&')
				continue
			}
			dst = utf8.AppendRune(dst, r)
			i += n - 1
		case c == '\r':
			if i+1 < len(raw) && raw[i+1] == '\n' {
				i++
			}
			if inAttr {
				dst = append(dst, ' ')
			} else {
				dst = append(dst, '\n')
			}
		case inAttr && (c == '\n' || c == '\t'):
			dst = append(dst, ' ')
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// reference reads a character reference or one of the five entities of XML at
// the beginning of b. n is its length, 0 when there is none.
func reference(b []byte) (r rune, n int) {
	const longest = 12 // but for the zeros that a number begins with, which may be many (XML 1.0 4.1)
	begin := 1
	for _, mark := range []string{"&#", "&#x"} {
		if bytes.HasPrefix(b, []byte(mark)) {
			begin = len(mark)
		}
	}
	zeros := len(b[begin:]) - len(bytes.TrimLeft(b[begin:], "0"))
	end := bytes.IndexByte(b[:min(len(b), zeros+longest)], ';')
	if end < 2 {
		return 0, 0
	}
	name := b[1:end]
	if name[0] == '#' {
		digits, base := string(name[1:]), 10
		if len(digits) > 1 && digits[0] == 'x' {
			digits, base = digits[1:], 16
		}
		v, err := strconv.ParseUint(digits, base, 32)
		if err != nil || !xmlChar(rune(v)) {
			return 0, 0
		}
		return rune(v), end + 1
	}
	switch string(name) {
	case "amp":
		r = '&'
	case "lt":
		r = '<'
	case "gt":
		r = '>'
	case "quot":
		r = '"'
	case "apos":
		r = '\''
	default:
		return 0, 0
	}
	return r, end + 1
}

// xmlChar reports whether XML 1.0 allows the character at all (2.2).
func xmlChar(r rune) bool {
	switch {
	case r == '\t' || r == '\n' || r == '\r':
		return true
	case r < ' ' || r > utf8.MaxRune:
		return false
	case r >= 0xd800 && r <= 0xdfff:
		return false
	}
	return r != 0xfffe && r != 0xffff
}
