// Package dissect tells a person what recorded registrations say: reginfo
// documents, SIP messages as text, and captures. Documents of one subscription go
// through one reginfo.Table, so that it also tells what changed from one to the
// next; REGISTER, SUBSCRIBE and their answers are put into sentences.
//
// It opens no file and writes to none, and it knows no packets: package capture
// gives it the messages. Protocol is not spoken here: nothing is sent, and no clock
// is asked. All that it reads is hostile: it is bounded by the constants below and
// in split.go, and made visible where it is printed.
package dissect

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	"regwatch/internal/capture"
	"regwatch/internal/guard"
	"regwatch/internal/plural"
	"regwatch/reginfo"
	"regwatch/reginfo/finding"
	"regwatch/ua"
)

// maxText is how much is read of a file that is no capture, in bytes.
const maxText = 16 << 20

// ErrNothing: there is no reginfo document, no SIP message and no capture.
var ErrNothing = errors.New("no reginfo document, no SIP message and no capture")

// Item is a document or a message, and what there is to say of it.
type Item struct {
	// Where and when the message was seen; zero where the file does not say.
	Time      time.Time
	Transport string
	From, To  string

	message  *message // nil: a document alone
	Document *reginfo.Document
	// Of a document: what became of it in the table of its subscription, or of
	// the files given. First: nothing came before it that it could be compared
	// with.
	First   bool
	Outcome reginfo.Outcome
	at      time.Time

	// Notes are sentences on the message.
	Notes []Note
	// Bindings are the contacts of a REGISTER, or of a 2xx to one.
	Bindings []reginfo.Contact
	// Findings are those of the document, of its place among the others, and of
	// the message.
	Findings []finding.Finding

	own func(reginfo.Contact) (ua.MatchedBy, bool)
}

// Note is a sentence on a message, and the particulars of what it is about.
type Note struct {
	Text  string
	Below []string
}

// Dissector reads files one after the other. What one told is remembered for the
// next: a subscription may go on in another file. It belongs to one goroutine.
type Dissector struct {
	own   *ua.Own
	files *table // the documents that came alone
	subs  subscriptions
	asked requests
	seen  retransmissions
}

// New returns a Dissector. own tells the contacts of the account that is asked
// for; nil: none is.
func New(own *ua.Own) *Dissector {
	return &Dissector{own: own, files: newTable(dialog{}), subs: newSubscriptions(), asked: newRequests(), seen: newRetransmissions()}
}

// Read explains a file, told apart by what is in it, and gives its items in their
// order. Remarks say what of the file could not be read. The error wraps
// ErrNothing or reginfo.ErrNotReginfo where nothing could be; otherwise it is that
// of in, or of give, which ends the reading.
func (d *Dissector) Read(in io.Reader, give func(Item) error) (remarks []string, err error) {
	defer guard.Recover(func(broken error) { err = broken })
	buffered := bufio.NewReader(in)
	// An error comes again with the first byte that is missing.
	begin, _ := buffered.Peek(4)
	if capture.IsCapture(begin) {
		return d.capture(buffered, give)
	}
	text, err := io.ReadAll(io.LimitReader(buffered, maxText+1))
	if err != nil {
		return nil, err
	}
	var notReginfo error
	if isXML(text) {
		notReginfo = d.document(text, give)
		if !errors.Is(notReginfo, reginfo.ErrNotReginfo) {
			return nil, notReginfo
		}
	}
	if len(text) > maxText {
		text = text[:maxText]
		remarks = append(remarks, fmt.Sprintf("longer than %d bytes: the rest is not read", maxText))
	}
	count := 0
	splitText(text, func(f found) {
		if err == nil {
			count++
			err = d.message(f, give)
		}
	})
	switch {
	case count > 0:
		return remarks, err
	case notReginfo != nil:
		return nil, notReginfo
	}
	return nil, d.document(text, give) // some registrars send worse than XML
}

// isXML reports whether a text begins as XML does, in whatever encoding.
func isXML(text []byte) bool {
	for _, mark := range []string{"\xff\xfe", "\xfe\xff", "\x00<", "<\x00"} {
		if bytes.HasPrefix(text, []byte(mark)) {
			return true
		}
	}
	text = bytes.TrimSpace(bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")))
	return bytes.HasPrefix(text, []byte("<"))
}

// document explains a document that came alone: those of all files are taken for
// one stream, in the order given.
func (d *Dissector) document(text []byte, give func(Item) error) error {
	document, err := reginfo.Decode(text)
	switch {
	case err != nil && bytes.HasPrefix(text, []byte("\x1f\x8b")):
		return fmt.Errorf("%w: it is compressed; unpack it first, as with gunzip", ErrNothing)
	case err != nil && !isXML(text):
		return ErrNothing
	case err != nil:
		return err
	}
	item := d.item()
	// Nothing tells when it was sent. Times count from an instant that is the same
	// for all, so that the time left is compared as it stands.
	d.files.apply(&item, document, d.files.count+1, time.Unix(0, 0), false)
	return give(item)
}

func (d *Dissector) item() Item {
	item := Item{Findings: []finding.Finding{}}
	if d.own != nil {
		item.own = d.own.Match
	}
	return item
}

func (d *Dissector) capture(in io.Reader, give func(Item) error) (remarks []string, err error) {
	count, encrypted := 0, 0
	one := func(f found) {
		if err == nil {
			count++
			err = d.message(f, give)
		}
	}
	tcp := streams{held: map[uint64]partial{}, give: one}
	tally, fault := capture.Read(in, func(chunk capture.Chunk) {
		switch {
		case chunk.Stream != 0:
			if bytes.HasPrefix(chunk.Data, []byte("\x16\x03")) { // a handshake, RFC 8446 5.1
				encrypted++
			}
			tcp.take(chunk)
		default:
			if f, ok := datagram(chunk); ok {
				one(f)
			}
		}
	})
	if fault != nil {
		remarks = append(remarks, fault.Error())
	}
	if tcp.crowded {
		remarks = append(remarks, fmt.Sprintf("messages left out: more than %d bytes of messages that are not whole", maxHeld))
	}
	for _, r := range []struct {
		count      int
		what, text string
	}{
		{tally.Fragments, "IP fragment", " left out: the rest of the packet is missing"},
		{tally.Links, "packet", " left out: from a kind of link that is not understood"},
		{encrypted, "TLS handshake", ": what TLS carries cannot be read from a capture; --trace writes it in plain"},
	} {
		if r.count > 0 {
			remarks = append(remarks, plural.Count(r.count, r.what)+r.text)
		}
	}
	if count == 0 && err == nil {
		err = fmt.Errorf("no SIP message in %s", plural.Count(tally.Packets, "packet"))
	}
	return remarks, err
}

// datagram finds the SIP message in a datagram; ok is false where there is none.
func datagram(chunk capture.Chunk) (f found, ok bool) {
	f.Chunk = chunk
	f.Data = bytes.TrimLeft(chunk.Data, "\r\n")
	line, _, more := cutLine(f.Data)
	if !more || !startLine(line) {
		return f, false
	}
	if chunk.Missing > 0 {
		f.cut = fmt.Sprintf("the capture lacks its end: %s", plural.Count(chunk.Missing, "byte"))
	}
	return f, true
}

// message explains one message.
func (d *Dissector) message(f found, give func(Item) error) error {
	m := parseMessage(f.Data)
	item := d.item()
	item.message, item.Time, item.Transport = &m, f.Time, f.Transport
	if f.From.IsValid() {
		item.From, item.To = f.From.String(), f.To.String()
	}
	item.at = f.Time
	item.framed(f)
	switch {
	case d.seen.again(f):
		item.note("sent again: see above")
	case m.status != 0:
		d.answer(&item)
	default:
		d.request(&item)
	}
	return give(item)
}

// framed looks whether the body is as long as it is said to be (RFC 3261 18.3).
// In a text nobody can tell: line ends have changed.
func (i *Item) framed(f found) {
	m := i.message
	if f.cut != "" {
		i.note("cut off: %s", f.cut)
	}
	length, ok := m.contentLength()
	switch {
	case f.text || f.cut != "":
	case !ok && f.Stream != 0:
		i.note("no Content-Length, which TCP needs: taken as 0 (RFC 3261 18.3)")
	case !ok:
	case length < len(m.body):
		i.note("%d bytes behind the body, by its Content-Length, are not looked at (RFC 3261 18.3)", len(m.body)-length)
		m.body = m.body[:length]
	case length > len(m.body):
		i.note("Content-Length says %d bytes, and the body has %d (RFC 3261 18.3)", length, len(m.body))
	}
}

func (i *Item) note(format string, args ...any) {
	i.Notes = append(i.Notes, Note{Text: fmt.Sprintf(format, args...)})
}
