package reginfo

import (
	"bytes"

	"regwatch/reginfo/finding"
)

// Limits on what is read. They lie far above any honest document and keep a
// hostile one from costing more than some milliseconds and megabytes.
const (
	// MaxSize is the largest document that Decode takes, in bytes.
	MaxSize = 1 << 20
	// MaxContacts is how many contacts are read from one document, and how
	// many rows a Table holds.
	MaxContacts = 10000

	maxElements = 100000 // start tags read
	maxDepth    = 64     // elements open at once; deeper ones are passed over
	maxAttrs    = 64     // attributes of one element
	maxText     = 16384  // bytes of one attribute or text; a longer one is cut
	maxPrefixes = 256    // xmlns declarations in force at once
	maxFindings = 64
)

type tokenKind uint8

const (
	tokenEOF tokenKind = iota
	tokenStart
	tokenEnd
	tokenText
)

// attr is one attribute as written; value has its references resolved.
type attr struct {
	prefix, local, value []byte
}

// scanner cuts a document into tags and text. It knows XML, but neither
// namespaces nor nesting. Where the document breaks the rules of XML it reports
// so and goes on with what was most likely meant; every step moves forward, so
// it ends.
type scanner struct {
	data []byte
	pos  int
	// report takes findings; pos is an offset into data.
	report func(code finding.Code, pos int, detail string)
	// leaf is set by the reader while it is inside an element that holds only
	// text: there "<sip:" is a URI that somebody forgot to escape.
	leaf bool
	// cut is set when the document ended inside a tag, comment or the like.
	cut bool

	// The current token.
	at            int // where it begins
	prefix, local []byte
	attrs         []attr
	empty         bool   // the start tag ends in "/>"
	text          []byte // as written
	literal       bool   // text needs no resolving of references

	scratch  []byte // resolved attribute values of the current tag
	doctypes int
}

// next moves to the next token.
func (s *scanner) next() tokenKind {
	for s.pos < len(s.data) {
		s.at = s.pos
		if s.data[s.pos] != '<' {
			end := bytes.IndexByte(s.data[s.pos:], '<')
			if end < 0 {
				end = len(s.data) - s.pos
			}
			return s.textToken(end, false)
		}
		rest := s.data[s.pos:]
		switch {
		case len(rest) > 1 && rest[1] == '/':
			if s.endTag() {
				return tokenEnd
			}
		case len(rest) > 1 && rest[1] == '?':
			s.skipPast("?>", "processing instruction")
		case len(rest) > 1 && rest[1] == '!':
			if s.declaration(rest) {
				return tokenText
			}
		case len(rest) > 1 && nameStart(rest[1]) && !(s.leaf && opensURI(rest[1:])):
			if s.startTag() {
				return tokenStart
			}
		case len(rest) == 1:
			s.truncated("a tag")
		default:
			s.report(finding.MalformedXML, s.pos, "unescaped < taken as text")
			return s.textToken(1, true)
		}
	}
	s.at = s.pos
	return tokenEOF
}

func (s *scanner) textToken(n int, literal bool) tokenKind {
	s.text, s.literal = s.data[s.pos:s.pos+n], literal
	s.pos += n
	return tokenText
}

// truncated ends the document here.
func (s *scanner) truncated(inside string) {
	s.report(finding.MalformedXML, s.pos, "the document ends inside "+inside)
	s.cut = true
	s.pos = len(s.data)
}

func (s *scanner) skipPast(end, what string) {
	n := bytes.Index(s.data[s.pos:], []byte(end))
	if n < 0 {
		s.truncated("a " + what)
		return
	}
	s.pos += n + len(end)
}

// declaration handles what begins with "<!". It returns true when that was
// text, in a CDATA section.
func (s *scanner) declaration(rest []byte) bool {
	switch {
	case bytes.HasPrefix(rest, []byte("<!--")):
		s.pos += len("<!--")
		s.skipPast("-->", "comment")
	case bytes.HasPrefix(rest, []byte("<![CDATA[")):
		s.pos += len("<![CDATA[")
		n := bytes.Index(s.data[s.pos:], []byte("]]>"))
		if n < 0 {
			s.truncated("a CDATA section")
			return false
		}
		s.textToken(n, true)
		s.pos += len("]]>")
		return true
	case bytes.HasPrefix(rest, []byte("<!DOCTYPE")):
		s.doctype()
	default:
		s.report(finding.MalformedXML, s.pos, "a declaration where none may be")
		s.skipPast(">", "declaration")
	}
	return false
}

// doctype passes over a DOCTYPE with its entities: expanding them is how a
// small document grows into gigabytes, and reginfo needs none.
func (s *scanner) doctype() {
	s.report(finding.Doctype, s.pos, "DOCTYPE passed over, its entities are not expanded")
	s.doctypes++
	closing := bytes.IndexByte(s.data[s.pos:], '>')
	subset := bytes.IndexByte(s.data[s.pos:], '[')
	// A second DOCTYPE is no longer looked into, or many of them would each
	// cost a search through all the rest.
	if subset >= 0 && subset < closing && s.doctypes == 1 {
		for from := s.pos + subset; ; {
			n := bytes.IndexByte(s.data[from:], ']')
			if n < 0 {
				break
			}
			from += n + 1
			if end := skipSpace(s.data, from); end < len(s.data) && s.data[end] == '>' {
				s.pos = end + 1
				return
			}
		}
	}
	s.skipPast(">", "DOCTYPE")
}

// endTag reads "</name>"; it returns false when there was no name in it or the
// document ended first.
func (s *scanner) endTag() bool {
	i := s.pos + 2
	end := nameEnd(s.data, i)
	s.prefix, s.local = splitName(s.data[i:end])
	j := skipSpace(s.data, end)
	switch {
	case j >= len(s.data):
		s.truncated("an end tag")
		return false
	case s.data[j] == '>':
		s.pos = j + 1
	default:
		s.report(finding.MalformedXML, s.pos, "an end tag without its >")
		for j < len(s.data) && s.data[j] != '<' && s.data[j] != '>' {
			j++
		}
		if j < len(s.data) && s.data[j] == '>' {
			j++
		}
		s.pos = j
	}
	if len(s.local) == 0 {
		s.report(finding.MalformedXML, s.at, "an end tag without a name")
		return false
	}
	return true
}

// startTag reads "<name attributes>"; false when the document ended first: half
// a tag would be taken for an element without what was cut off.
func (s *scanner) startTag() bool {
	d := s.data
	end := nameEnd(d, s.pos+1)
	s.prefix, s.local = splitName(d[s.pos+1 : end])
	s.attrs, s.scratch, s.empty = s.attrs[:0], s.scratch[:0], false
	for i := end; ; {
		i = skipSpace(d, i)
		if i >= len(d) {
			s.truncated("a start tag")
			return false
		}
		switch {
		case d[i] == '>':
			s.pos = i + 1
			return true
		case d[i] == '/' && i+1 < len(d) && d[i+1] == '>':
			s.pos, s.empty = i+2, true
			return true
		case d[i] == '<':
			s.report(finding.MalformedXML, s.at, "the start tag of "+show(s.local)+" has no >")
			s.pos = i
			return true
		case !nameStart(d[i]):
			s.report(finding.MalformedXML, i, "stray characters in the start tag of "+show(s.local))
			for i++; i < len(d) && !tagStop(d[i]); i++ {
			}
		default:
			i = s.attribute(i)
		}
	}
}

// attribute reads one attribute at i and returns where it ends.
func (s *scanner) attribute(i int) int {
	d := s.data
	start := i
	i = nameEnd(d, i)
	name := d[start:i]
	var value []byte
	if j := skipSpace(d, i); j < len(d) && d[j] == '=' {
		i = skipSpace(d, j+1)
		value, i = s.attrValue(name, i)
	} else {
		s.report(finding.MalformedXML, start, "attribute "+show(name)+" has no value")
	}
	var a attr
	a.prefix, a.local = splitName(name)
	if len(s.attrs) >= maxAttrs {
		s.report(finding.LimitExceeded, start, "too many attributes")
		return i
	}
	for _, other := range s.attrs {
		if bytes.Equal(other.local, a.local) && bytes.Equal(other.prefix, a.prefix) {
			s.report(finding.MalformedXML, start, "attribute "+show(name)+" given twice, the first is taken")
			return i
		}
	}
	from := len(s.scratch)
	if needsResolving(value) {
		s.scratch = s.resolve(s.scratch, value, start, true)
		value = s.scratch[from:]
	}
	a.value = value
	s.attrs = append(s.attrs, a)
	return i
}

// attrValue finds the value that begins at i, quoted or, against the rules,
// not; it returns it as written and where it ends.
func (s *scanner) attrValue(name []byte, i int) ([]byte, int) {
	d := s.data
	if i < len(d) && (d[i] == '"' || d[i] == '\'') {
		window := d[i+1 : min(len(d), i+1+maxText)]
		n := bytes.IndexByte(window, d[i])
		if n < 0 && len(window) < maxText {
			// No closing quote: take what a value can hold and let the rest
			// of the document stand.
			n = bytes.IndexAny(window, "<>")
			if n < 0 {
				return nil, len(d)
			}
			s.report(finding.MalformedXML, i, "attribute "+show(name)+" has no closing quote")
			return trimSpace(window[:n]), i + 1 + n
		}
		if n < 0 {
			s.report(finding.LimitExceeded, i, "attribute "+show(name)+" is too long")
			if n = bytes.IndexAny(window, "<>"); n < 0 {
				n = len(window)
			}
			return window[:n], i + 1 + n
		}
		value := window[:n]
		if end := swallowedName(value, d[i+n+2:]); end >= 0 {
			s.report(finding.MalformedXML, i, "attribute "+show(name)+" has no closing quote")
			return trimSpace(value[:end]), i + 1 + end
		}
		if lt := bytes.IndexByte(value, '<'); lt >= 0 {
			if tag := swallowedTag(value); tag >= 0 {
				// The quote that was found belongs to a later tag.
				s.report(finding.MalformedXML, i, "attribute "+show(name)+" has no closing quote")
				end := bytes.IndexAny(value[:tag], " \t\r\n>")
				if end < 0 {
					end = tag
				}
				return value[:end], i + 1 + end
			}
			s.report(finding.MalformedXML, i+1+lt, "unescaped < in attribute "+show(name))
		}
		return value, i + n + 2
	}
	start := i
	for i < len(d) && !tagStop(d[i]) && d[i] != '/' {
		i++
	}
	s.report(finding.MalformedXML, start, "the value of attribute "+show(name)+" has no quotes")
	return d[start:i], i
}
