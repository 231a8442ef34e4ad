package tui

import (
	"strings"
	"testing"
	"time"

	"regwatch/reginfo"
	"regwatch/ua"
)

// What one REGISTER brings is one row, whichever of its parts is told first, and
// what is not of it is a row of its own.
func TestOverviewFoldsARegistration(t *testing.T) {
	const register, notify = 5, 6
	answer := ua.RegistrationDetail{State: ua.Registered, CallID: callID, CSeq: 4}
	word := ua.ContactDetail{Own: true, Origin: ua.OriginSelf, Contact: ownContact()}
	word.Contact.Event = reginfo.Refreshed
	gruu := func(change ua.GRUUChange, kind ua.GRUUType) ua.GRUUDetail {
		return ua.GRUUDetail{Change: change, Type: kind, URI: "sip:g"}
	}
	anothers := word
	anothers.CSeq = reginfo.Num(3)
	by := word
	by.Origin = ua.OriginElsewhere
	type told struct {
		message uint64
		detail  ua.Detail
	}
	const whole = "refreshed by us: expires 3600"
	for name, c := range map[string]struct {
		told []told
		rows []string
	}{
		"answer, then NOTIFY": {[]told{{register, gruu(ua.Learned, ua.TemporaryGRUU)}, {register, answer}, {notify, word}}, []string{whole + ", new temporary GRUU"}},
		"NOTIFY, then answer": {[]told{{notify, word}, {register, gruu(ua.Learned, ua.TemporaryGRUU)}, {register, answer}}, []string{whole + ", new temporary GRUU"}},
		"all of them": {[]told{{register, gruu(ua.Learned, ua.PublicGRUU)}, {register, gruu(ua.Learned, ua.TemporaryGRUU)}, {register, answer},
			{notify, gruu(ua.Invalidated, ua.TemporaryGRUU)}, {notify, gruu(ua.Invalidated, ua.TemporaryGRUU)}}, []string{"said, new GRUUs, 2 temporary GRUUs ended"}},
		"another REGISTER":        {[]told{{register, answer}, {notify, anothers}}, []string{whole, "said"}},
		"another's doing":         {[]told{{register, answer}, {notify, by}}, []string{"refreshed from elsewhere, not by us: expires 3600", "said"}},
		"GRUUs of another answer": {[]told{{notify, gruu(ua.Invalidated, ua.TemporaryGRUU)}, {register, answer}}, []string{"said", "said"}},
		"GRUUs alone":             {[]told{{notify, gruu(ua.Invalidated, ua.TemporaryGRUU)}, {notify, gruu(ua.Invalidated, ua.TemporaryGRUU)}}, []string{"2 temporary GRUUs ended"}},
		"the end":                 {[]told{{notify, ua.RegistrationDetail{State: ua.Unregistered}}, {notify, gruu(ua.Invalidated, ua.TemporaryGRUU)}}, []string{"said, temporary GRUU ended"}},
		"not registered":          {[]told{{register, ua.RegistrationDetail{State: ua.Retrying}}, {notify, word}}, []string{whole, "said"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, 120, 40, nil)
			var events []ua.Event
			for i, x := range c.told {
				events = append(events, ua.Event{Seq: uint64(i + 1), Time: noon.Add(time.Duration(i) * time.Millisecond), Account: "alice", Summary: "said", Message: x.message, Detail: x.detail})
			}
			b.show(snapshot(), events...)
			changes := b.account().changes
			var rows []string
			for i := len(changes) - 1; i >= 0; i-- {
				rows = append(rows, b.toldWhole(&changes[i]))
			}
			if got, want := strings.Join(rows, "\n"), strings.Join(c.rows, "\n"); got != want {
				t.Errorf("told\n%s\nwant\n%s", got, want)
			}
			b.keys("2")
			if n := len(b.timeline.shown); n != len(c.told) {
				t.Errorf("the timeline has %d events of %d", n, len(c.told))
			}
		})
	}
	// What comes later is another refresh.
	b := newBench(t, 80, 24, nil)
	late := ua.Event{Seq: 2, Time: noon.Add(foldWithin + 1), Account: "alice", Detail: word}
	b.show(snapshot(), ua.Event{Seq: 1, Time: noon, Account: "alice", Detail: answer}, late)
	if n := len(b.account().changes); n != 2 {
		t.Errorf("%d rows", n)
	}
}
