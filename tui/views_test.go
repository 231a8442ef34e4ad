package tui

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"regwatch/reginfo"
	"regwatch/reginfo/finding"
	"regwatch/ua"
)

// The documents that alice's registrar sent: all of her contacts, a refresh that
// does not fit, a shortening, and one that breaks off.
var documents = []string{
	`<?xml version="1.0"?>` + "\r\n" + `<reginfo xmlns="urn:ietf:params:xml:ns:reginfo" version="6" state="full">` +
		`<registration aor="sip:alice@example.com" id="a7" state="active">` +
		`<contact id="76" state="active" event="registered" expires="3600" q="1.0" callid="` + callID + `" cseq="4"><uri>` + aliceURI + `</uri>` +
		`<unknown-param name="+sip.instance">"&lt;` + instanceID + `&gt;"</unknown-param></contact>` +
		`<contact id="77" state="active" event="registered" expires="900" callid="desk-phone-88a1" cseq="11"><uri>` + deskURI + `</uri></contact>` +
		`</registration></reginfo>`,
	"<?xml version=\"1.0\"?>\n<reginfo xmlns=\"urn:ietf:params:xml:ns:reginfo\" version=\"6\" state=\"partial\"/>\n",
	`<?xml version="1.0"?>
<reginfo xmlns="urn:ietf:params:xml:ns:reginfo" version="7" state="full">
	<registration aor="sip:alice@example.com" id="a7" state="active">
		<contact id="76" state="active" event="shortened" expires="60" callid="` + callID + `" cseq="4" retry-after="5">
			<uri>` + aliceURI + `</uri>
			<unknown-param name="+sip.instance">"&lt;` + instanceID + `&gt;"</unknown-param>
		</contact>
		<contact id="78" state="active" event="created" expires="300" callid="x1" cseq="1"><uri>sip:alice@[2001:db8::99]:5060</uri></contact>
	</registration>
</reginfo>
`,
	"<?xml version=\"1.0\"?>\n<reginfo xmlns=\"urn:ietf:params:xml:ns:reginfo\" version=\"8\" state=\"full\">\n" +
		" <registration aor=\"sip:alice@example.com\" id=\"a7\" state=\"active\">\n  <contact id=\"76\" state=\"active\" event=regis",
}

// witnessed is alice with documents, an answer that does not know the desk phone,
// and a ping that came back.
func witnessed() *ua.Snapshot {
	s := snapshot()
	for i, text := range documents {
		d := ua.Document{At: noon.Add(time.Duration(i-4) * 10 * time.Second), CSeq: uint32(i + 21), Verdict: reginfo.Applied, Raw: []byte(text)}
		if document, err := reginfo.Decode(d.Raw); err == nil {
			d.Version, d.State = document.Version, document.State
		}
		if i == 1 {
			d.Verdict, d.Reason = reginfo.Discarded, "version 6 is that of the document before, and the document is partial"
		}
		s.Documents = append(s.Documents, d)
	}
	s.Listed = true
	s.Answer = ua.Answer{At: noon.Add(-30 * time.Second), Contacts: []ua.AnsweredContact{
		{URI: aliceURI, Own: true, ExpiresAt: noon.Add(58*time.Minute + 12*time.Second)},
		{URI: "sip:alice@198.51.100.77:5080", ExpiresAt: noon.Add(5 * time.Minute)},
	}}
	s.Disagreements = []ua.Disagreement{
		{DisagreementDetail: ua.DisagreementDetail{Between: []string{ua.WitnessResponse, ua.WitnessWatched}, About: deskURI, Detail: "the registrar's documents list it, its last answer does not"}, Since: noon.Add(-time.Minute)},
	}
	s.Ping = ua.Ping{URI: ownContact().TempGRUU, SentAt: noon.Add(-5 * time.Second), Back: 12 * time.Millisecond, Status: 200, Outcome: "came back to this device in 12 ms, answered 200"}
	return s
}

// ended are the GRUUs that alice had before.
func ended() []ua.Event {
	d := ua.GRUUDetail{Change: ua.Invalidated, Type: ua.TemporaryGRUU, URI: "sip:tgruu.old==qq81@example.com;gr", CallID: callID, CSeq: 3,
		FirstCSeq: reginfo.Num(2), RegID: 1, Source: ua.FromNotify, Cause: "the network removed our contact"}
	return []ua.Event{{Account: "alice", Seq: 90, Time: noon.Add(-126 * time.Second), Summary: "temporary GRUU invalidated", Detail: d}}
}

var sizes = []struct{ w, h int }{{80, 24}, {120, 40}, {40, 10}}

func TestGoldenSixViews(t *testing.T) {
	for _, v := range []struct {
		name string
		keys []string
	}{
		{"document", []string{"4", "left"}}, {"document-broken", []string{"4", "enter"}}, {"gruus", []string{"5", "down", "down"}},
		{"truths", []string{"6"}}, {"findings", []string{"7"}}, {"finding", []string{"7", "enter"}}, {"accounts", []string{"8"}},
	} {
		for _, size := range sizes {
			t.Run(fmt.Sprintf("%s-%dx%d", v.name, size.w, size.h), func(t *testing.T) {
				b := newBench(t, size.w, size.h, func(o *Options) { o.Accounts = []string{"alice", "bob", "carol"} })
				b.show(witnessed(), append(past(), ended()...)...)
				b.show(rejected("bob"))
				b.keys(v.keys...)
				b.golden(fmt.Sprintf("%s-%dx%d", v.name, size.w, size.h))
			})
		}
	}
}

// rejected is an account that the registrar does not let in.
func rejected(name string) *ua.Snapshot {
	s := snapshot()
	s.Account, s.AOR = name, "sip:"+name+"@example.net"
	s.Registration = ua.Registration{State: ua.Refused, Since: noon, Status: 403, Reason: "403 Forbidden"}
	s.Subscription = ua.Subscription{State: ua.Terminated, Reason: "rejected", Since: noon}
	s.Bindings, s.GRUUs, s.Document = nil, nil, ua.Document{}
	return s
}

func TestDocumentSaysWhatChanged(t *testing.T) {
	b := newBench(t, 80, 60, nil)
	b.keys("4")
	b.sees("none yet: there is no subscription (S subscribes)")
	b.show(witnessed())
	b.keys("left")
	b.sees("document 3 of 4", "changed since version 6", "~ version 6 -> 7",
		"~ contact 76 sip:alice@192.0.2.7:5060;ob", "~ event               registered -> shortened", "~ expires             3600 -> 60",
		"+ retry-after         5", "- q                   1.0", "- contact 77 "+deskURI, "+ contact 78 sip:alice@[2001:db8::99]:5060")
	b.seesNot("callid               "+callID+" ->", "- callid")
	b.keys("left")
	b.sees("document 2 of 4, discarded", "discarded: version 6 is that of the document before", "partial")
	b.keys("left", "left")
	b.sees("document 1 of 4", "the first one kept")
	b.keys("right", "right", "right")
	b.sees("document 4 of 4")
	// It follows what comes, unless walked back.
	s := witnessed()
	s.Documents = append(s.Documents, ua.Document{At: noon, CSeq: 30, Verdict: reginfo.Applied, Version: reginfo.Num(9), Raw: []byte(strings.ReplaceAll(documents[2], `"7"`, `"9"`))})
	b.show(s)
	b.sees("document 5 of 5")
	b.keys("left", "left")
	b.sees("document 3 of 5")
	s = witnessed()
	s.Documents = s.Documents[1:]
	b.show(s)
	b.sees("document 2 of 3", "version         7")
}

// What was sent is shown as it was: each control, and which line is wrong.
func TestDocumentAsSent(t *testing.T) {
	b := newBench(t, 80, 24, nil)
	b.show(witnessed())
	b.keys("4")
	b.sees("! error malformed-xml line 4", `sent: <contact id="76" state="active" event=regis`)
	b.keys("enter")
	b.sees("document 4 of 4, as sent", `!  <contact id="76" state="active" event=regis`)
	b.keys("left")
	b.sees(`␉<registration aor="sip:alice@example.com"`)
	b.keys("left", "left")
	b.sees(`<?xml version="1.0"?>␍`)
	b.keys("enter")
	b.sees("document 1 of 4, indented")
	for _, line := range []string{`  <registration aor=`, `      <uri>sip:alice@192\.0\.2\.7:5060;ob</uri>$`, `    </contact>$`} {
		if !matches(`(?m)^ ?`+line, b.screen()) {
			t.Errorf("no line %q:\n%s", line, b.screen())
		}
	}
	b.keys("enter")
	b.sees("document 1 of 4 ---")
	b.keys("r")
	b.sees("document version 6, received")
}

func TestGRUUsOfThePast(t *testing.T) {
	b := newBench(t, 80, 24, nil)
	b.show(witnessed(), append(past(), ended()...)...)
	b.keys("5")
	b.sees("GRUUs: 2, and 1 of the past", "public     alice@example.com", "ended 14:02:53", "valid", "ping at 14:04:54 came back to this device in 12 ms")
	b.seesNot(";gr", "the network removed our contact")
	b.keys("G")
	b.sees("ended at 14:02:53: the network removed our contact", "CSeq 3, first-cseq 2")
	b.keys("enter")
	b.sees("sip:tgruu.old==qq81@example.com;gr")
	b.keys("esc", "g", "enter")
	b.sees("sip:alice@example.com;gr=urn:uuid", "for people      alice@example.com\n")
	b.keys("esc")
	s := witnessed()
	s.Ping.Outcome, s.Ping.Back = "", 0
	b.show(s)
	b.sees("ping sent 0:")
	s = witnessed()
	s.Ping.Outcome, s.Ping.Back = "did not come back to this device: answered 480 Gone", 0
	b.show(s)
	b.sees("✗ ping at 14:04:54 did not come back to this device: answered 480 Gone")
	// They do not pile up, and one that is given again is no more of the past.
	for i := range 3 * keptGRUUs {
		e := ended()[0]
		d := e.Detail.(ua.GRUUDetail)
		d.URI = fmt.Sprintf("sip:t%d@example.com;gr", i)
		e.Detail = d
		b.show(s, e)
	}
	b.sees(fmt.Sprintf("and %d of the past", keptGRUUs))
	e := ended()[0]
	b.show(s, ua.Event{Account: "alice", Time: noon, Detail: ua.GRUUDetail{Change: ua.Learned, Type: ua.TemporaryGRUU, URI: "sip:t299@example.com;gr"}}, e)
	b.show(s, ua.Event{Account: "alice", Time: noon, Detail: ua.GRUUDetail{Change: ua.Replaced, Type: ua.PublicGRUU, URI: "sip:other@example.com;gr"}})
	b.keys("g", "j", "j", "enter")
	b.sees("sip:tgruu.old==qq81@example.com;gr")
}

// A query found us gone, and the documents do not know: the view says which of the
// three is contradicted, and marks that alone.
func TestTruthsSayWhichIsContradicted(t *testing.T) {
	s := witnessed()
	s.Registration.State, s.Registration.ExpiresAt = ua.Unregistered, time.Time{}
	gone := &s.Bindings[0]
	gone.Contact.State, gone.Contact.Event, gone.StillListed = reginfo.ContactTerminated, reginfo.Absent, true
	s.Answer.Contacts = nil
	s.Disagreements = []ua.Disagreement{{Since: noon.Add(-time.Minute), Against: ua.WitnessWatched, DisagreementDetail: ua.DisagreementDetail{
		Between: []string{ua.WitnessLocal, ua.WitnessWatched}, About: s.Registration.Contact,
		Detail: "not registered by our count, nor by the registrar's last answer, but its documents still list us",
	}}}
	b := newBench(t, 80, 24, nil)
	b.show(s)
	b.keys("6")
	b.sees("! since 14:03:59 watched is contradicted: not registered by our count", "S asks for")
	if want := "> this device .* {3}not bound +not listed +! still listed"; !matches(want, b.screen()) {
		t.Errorf("no row %s:\n%s", want, b.screen())
	}
	b.seesNot("! not", "gone")
}

func TestTruthsSideBySide(t *testing.T) {
	b := newBench(t, 80, 24, nil)
	b.keys("6")
	b.sees("nothing is known yet")
	empty := snapshot()
	empty.Bindings, empty.Subscription.State, empty.Document = nil, ua.Unsupported, ua.Document{}
	b.show(empty)
	b.sees("nothing disagrees", "no answer yet", "no reg event", "58:11 left")
	b.show(witnessed())
	b.sees("truths: 1 disagree", "at 14:04:29", "version 7",
		"! since 14:03:59 response against watched: the registrar's documents list", "a query (Q) settles it", "watched   what its documents")
	screen := b.screen()
	for _, want := range []string{`(?m)alice@203.0.113.9.* -  .*! not listed.*! 12:0. left`} {
		if !matches(want, screen) {
			t.Errorf("no row %s:\n%s", want, screen)
		}
	}
	b.keys("j", "enter")
	b.sees("differ          response against watched, since 2026-03-14 14:03:59", "a query (Q)")
	b.keys("esc", "Q")
	b.did("alice query")
	// Below 60 columns they stand one below the other.
	b.w = 48
	b.sees("  response")
	b.keys("g", "enter")
	b.sees("this device")
	b.keys("esc", "j", "j", "j", "j", "enter")
	b.sees("sip:alice@203.0.113.9:5062")
}

// An account with names of a real IMS network, and an IPv6 contact: nothing is
// wider than the screen, and what tells contacts apart stays.
func TestLongNames(t *testing.T) {
	const ims, six = "sip:+4930123456789@ims.mnc001.mcc262.3gppnetwork.org", "sip:+4930123456789@[2001:db8:85a3:8d3:1319:8a2e:370:7348]:5060;ob"
	s := witnessed()
	s.AOR = ims
	s.Registration.Contact, s.Answer.Contacts[0].URI = six, six
	s.Bindings[0].Contact.URI, s.Bindings[0].AOR = six, ims
	s.Bindings[1].Contact.URI = strings.Replace(six, ";ob", ";x=y", 1)
	s.GRUUs[0].URI = ims + ";gr=" + instanceID
	s.Flow.Local, s.Flow.Remote = "[2001:db8:85a3:8d3:1319:8a2e:370:7348]:5060", "[2001:db8::53]:5060"
	for _, size := range sizes {
		b := newBench(t, size.w, size.h, nil)
		b.show(s, past()...)
		for _, v := range []string{"1", "2", "3", "4", "5", "6", "7", "8"} {
			b.keys(v)
			b.screen()
			b.keys("enter")
			b.screen()
			b.keys("esc")
		}
		b.keys("6")
		if size.w >= 80 {
			b.sees("7348]:5060")
		}
		b.keys("5")
		if size.w >= 80 {
			b.sees("3gppnetwork.org")
		}
	}
}

func TestTabsFit(t *testing.T) {
	b := newBench(t, 80, 24, nil)
	b.show(snapshot(), past()...)
	for _, size := range sizes[:2] {
		b.w, b.h = size.w, size.h
		for _, v := range b.views {
			b.view = v
			b.sees("[" + v.key.Help().Key + " " + v.key.Help().Desc)
			for _, o := range b.views {
				if o != v {
					b.sees(" " + o.key.Help().Key + " ")
				}
			}
		}
	}
	b.keys("1")
	b.sees("7 findings (1)  8 accounts")
}

// matches reports whether a line of the screen is like the pattern.
func matches(pattern, screen string) bool { return regexp.MustCompile(pattern).MatchString(screen) }

// The page of a finding has what was sent: the line of the document that came at
// its time, else what that begins with.
func TestFindingShowsWhatWasSent(t *testing.T) {
	b := newBench(t, 80, 24, nil)
	s := witnessed()
	event := func(i int, code finding.Code) ua.Event {
		return ua.Event{Account: "alice", Time: s.Documents[i].At, Detail: ua.FindingDetail{Code: code, Severity: finding.Finding{Code: code}.Severity(), Clause: "RFC 3680 5.1", Detail: "detail"}}
	}
	b.show(s, event(3, finding.MalformedXML), event(1, finding.VersionRepeated))
	b.keys("7", "enter")
	b.sees("malformed-xml", "found in        document 4 of 4 (view 4), line 4", `sent            <contact id="76" state="active" event=regis`)
	b.keys("esc", "j", "enter")
	b.sees("version-repeated", "found in        document 2 of 4 (view 4)\n", `sent            <reginfo xmlns="urn:ietf:params:xml:ns:reginfo" version="6"`)
	s = witnessed()
	s.Documents = s.Documents[2:]
	b.show(s)
	b.keys("esc", "enter")
	b.seesNot("found in")
}

// The comparison of a document of ten thousand contacts is made once, not in each
// frame, and soon enough to be walked through.
func BenchmarkDocument(b *testing.B) {
	bench := newCrowdedBench(b, 10_000, 10, 10)
	bench.view = bench.views[3]
	for b.Loop() {
		bench.account().document = documentView{}
		bench.View()
	}
}

func BenchmarkTruths(b *testing.B) {
	s := crowd(10_000)
	for b.Loop() {
		(&truthsView{}).compare(s)
	}
}
