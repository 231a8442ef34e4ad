package reginfo

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"regwatch/reginfo/finding"
)

// Errors of Decode.
var (
	// ErrNotReginfo: there is no reginfo element, so nothing could be read.
	ErrNotReginfo = errors.New("no reginfo document")
	// ErrTooLarge: the body is longer than MaxSize and was not looked at.
	ErrTooLarge = errors.New("reginfo document too large")
)

// Decode reads a reginfo document. It takes what real registrars send: whatever
// can be read is read, whatever is wrong with it becomes a finding, and an error
// (ErrNotReginfo, ErrTooLarge) is returned only when there is nothing to read.
// The document shares no memory with body. Strings are as the network sent
// them, control characters included.
func Decode(body []byte) (*Document, error) {
	if len(body) > MaxSize {
		return nil, fmt.Errorf("%w: %d bytes, at most %d are read", ErrTooLarge, len(body), MaxSize)
	}
	data, findings := toUTF8(body)
	// Room for a usual contact: most documents are small, and of their allocations
	// growing to it would be one in six.
	d := decoder{doc: &Document{Findings: findings}, open: make([]element, 0, 8), text: make([]byte, 0, 128)}
	d.scan = scanner{data: data, report: d.report, attrs: make([]attr, 0, 16)}
	d.checkCharacters()
	d.run()
	if !d.seen {
		return nil, fmt.Errorf("%w: %s", ErrNotReginfo, d.instead(data))
	}
	d.checkDocument()
	return d.doc, nil
}

// kind is what an open element is to us.
type kind uint8

const (
	kindOutside kind = iota // before or around the reginfo element
	kindForeign             // of another namespace: all inside is ignored
	kindUnknown             // of the reginfo namespace, but unknown: looked into
	kindReginfo
	kindRegistration
	kindContact
	kindURI
	kindDisplayName
	kindParam
	kindPubGRUU
	kindTempGRUU
)

// leaf reports whether the element holds only text.
func (k kind) leaf() bool { return k >= kindURI }

// element is one that is open.
type element struct {
	prefix, local []byte
	kind          kind
	at            int // offset of its start tag
	prefixes      int // how many xmlns declarations were in force around it
}

type decoder struct {
	scan     scanner
	doc      *Document
	open     []element
	deeper   int // elements open beyond maxDepth
	elements int
	contacts int

	seen, closed bool // the reginfo element
	names        namespaces

	reg   Registration
	con   Contact
	param string // name of the unknown-param that is open
	text  []byte // of the leaf that is open

	strings strings.Builder // the chunk at hand

	told    map[string]bool // findings that are made once a document
	dropped int             // findings beyond maxFindings
}

// report adds a finding at an offset of the document.
func (d *decoder) report(code finding.Code, pos int, detail string) {
	if code == finding.LimitExceeded {
		d.doc.Incomplete = true
	}
	if d.crowded(code) {
		return
	}
	line := 1 + bytes.Count(d.scan.data[:min(pos, len(d.scan.data))], []byte{'\n'})
	d.doc.Findings = append(d.doc.Findings, finding.Finding{Code: code, Detail: detail, Line: line})
}

// crowded counts a finding that there is no more room for. Errors get twice the
// room, so that a crowd of lesser ones cannot hide them.
func (d *decoder) crowded(code finding.Code) bool {
	room := maxFindings
	if len(d.doc.Findings) >= room && (finding.Finding{Code: code}).Severity() == finding.Error {
		room *= 2
	}
	if len(d.doc.Findings) < room {
		return false
	}
	d.dropped++
	return true
}

// reportOnce is report for what would be said again at each contact.
func (d *decoder) reportOnce(code finding.Code, pos int, detail string) {
	key := string(code) + " " + detail
	if d.told[key] {
		return
	}
	if d.told == nil {
		d.told = map[string]bool{}
	}
	if len(d.told) < 4*maxFindings {
		d.told[key] = true
	}
	d.report(code, pos, detail)
}

func (d *decoder) run() {
	for {
		switch d.scan.next() {
		case tokenStart:
			if d.elements++; d.elements > maxElements {
				d.report(finding.LimitExceeded, d.scan.at, fmt.Sprintf("more than %d elements", maxElements))
				d.end()
				return
			}
			d.start()
		case tokenEnd:
			d.endTag()
		case tokenText:
			d.addText()
		case tokenEOF:
			d.end()
			return
		}
		d.scan.leaf = len(d.open) > 0 && d.deeper == 0 && d.open[len(d.open)-1].kind.leaf()
	}
}

// top returns the kind of the innermost open element.
func (d *decoder) top() kind {
	if len(d.open) == 0 {
		return kindOutside
	}
	return d.open[len(d.open)-1].kind
}

// end closes what the document left open.
func (d *decoder) end() {
	if len(d.open) == 0 {
		d.doc.Incomplete = d.doc.Incomplete || d.scan.cut && !d.closed
		return
	}
	if !d.closed && d.seen {
		d.doc.Incomplete = true
	}
	if !d.scan.cut {
		last := d.open[len(d.open)-1]
		d.report(finding.MalformedXML, len(d.scan.data), "the document ends before the end of "+show(last.local))
	}
	// Of an open text nobody knows how much is missing: half a URI would be
	// taken for another contact.
	for d.top().leaf() && d.top() < kindPubGRUU {
		d.open = d.open[:len(d.open)-1]
	}
	d.closeTo(0)
}

func (d *decoder) addText() {
	raw := d.scan.text
	if d.deeper > 0 {
		return
	}
	switch k := d.top(); {
	case k.leaf():
		if len(d.text)+len(raw) > maxText {
			d.report(finding.LimitExceeded, d.scan.at, "text too long, cut")
			raw = raw[:max(0, maxText-len(d.text))]
		}
		if d.scan.literal {
			d.text = append(d.text, raw...)
		} else {
			d.text = d.scan.resolve(d.text, raw, d.scan.at, false)
		}
	case k == kindOutside:
		if len(trimSpace(raw)) > 0 {
			d.reportOnce(finding.MalformedXML, d.scan.at, "text outside the reginfo element")
		}
	}
}

// start opens the element of the current start tag.
func (d *decoder) start() {
	s := &d.scan
	if len(d.open) >= maxDepth {
		if !s.empty {
			d.deeper++
		}
		d.reportOnce(finding.LimitExceeded, s.at, fmt.Sprintf("more than %d elements inside each other", maxDepth))
		return
	}
	around := len(d.names.declared)
	d.declare()
	k, inside := d.classify()
	// A schema element that turns up inside one that cannot hold it shows that
	// an end tag is missing: close what is open, or the rest would be hidden.
	if inside < len(d.open) {
		if k != kindUnknown && k != kindForeign {
			d.report(finding.MalformedXML, s.at, "the end of "+show(d.open[len(d.open)-1].local)+" is missing before "+show(s.local))
		}
		kept := append([]declaration(nil), d.names.declared[around:]...)
		d.closeTo(inside)
		around = len(d.names.declared)
		d.names.declared = append(d.names.declared, kept...)
	}
	d.open = append(d.open, element{prefix: s.prefix, local: s.local, kind: k, at: s.at, prefixes: around})
	if k > kindForeign {
		for i := range s.attrs {
			if p := s.attrs[i].prefix; len(p) > 0 && string(p) != "xmlns" {
				d.checkPrefix(p)
			}
		}
	}
	d.enter(k)
	if s.empty {
		d.closeTo(len(d.open) - 1)
	}
}

// endTag closes the element of the current end tag, and those inside it that
// were left open.
func (d *decoder) endTag() {
	if d.deeper > 0 {
		d.deeper--
		return
	}
	s := &d.scan
	for i := len(d.open) - 1; i >= 0; i-- {
		e := &d.open[i]
		if !bytes.Equal(e.local, s.local) || !bytes.Equal(e.prefix, s.prefix) {
			continue
		}
		if i < len(d.open)-1 {
			d.report(finding.MalformedXML, s.at, "the end of "+show(d.open[len(d.open)-1].local)+" is missing before the end of "+show(s.local))
		}
		d.closeTo(i)
		return
	}
	d.report(finding.MalformedXML, s.at, "the end of "+show(s.local)+", which is not open")
}

// closeTo closes open elements from the innermost out until n are left.
func (d *decoder) closeTo(n int) {
	for len(d.open) > n {
		e := d.open[len(d.open)-1]
		d.open = d.open[:len(d.open)-1]
		d.names.declared = d.names.declared[:e.prefixes]
		d.leave(e)
	}
}

// checkCharacters finds characters that XML does not allow at all.
func (d *decoder) checkCharacters() {
	for i, c := range d.scan.data {
		if c < ' ' && !isSpace(c) {
			d.report(finding.MalformedXML, i, fmt.Sprintf("control character 0x%02x", c))
			return
		}
	}
}

// instead says what the body was, in place of a reginfo document.
func (d *decoder) instead(data []byte) string {
	data = trimSpace(data)
	switch {
	case len(data) == 0:
		return "the body is empty"
	case data[0] != '<':
		return "the body is not XML"
	}
	for i := 0; i < len(data); i++ {
		if data[i] == '<' && i+1 < len(data) && nameStart(data[i+1]) {
			return "the first element is " + strings.ToValidUTF8(show(data[i+1:nameEnd(data, i+1)]), "?")
		}
	}
	return "no element in it"
}
