package ua

import (
	"testing"
	"time"

	"regwatch/reginfo"
)

// The registrar's list lacks the binding of one flow of two: that is told of it, once,
// and no more when it is listed or has ended.
func TestTruthsOfEachFlow(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var lines []*line
	var rows []reginfo.Row
	for _, contact := range []string{"sip:alice@192.0.2.7:40001", "sip:alice@192.0.2.7:40002"} {
		l := &line{id: identity{contact: contact}, justBound: now}
		l.reg.expiresAt = now.Add(time.Hour)
		lines = append(lines, l)
		rows = append(rows, reginfo.Row{Contact: reginfo.Contact{URI: contact, State: reginfo.ContactActive}, At: now, ExpiresAt: l.reg.expiresAt})
	}
	for i, l := range lines {
		var both truths
		heard := func(after time.Duration, listed ...reginfo.Row) []DisagreementDetail {
			return both.compare(testimony{lines: lines, watched: true, rows: listed, lineOf: func(r *reginfo.Row) *line {
				if r.Contact.URI == lines[0].id.contact {
					return lines[0]
				}
				return lines[1]
			}}, now.Add(after))
		}
		if told := heard(0, rows[1-i]); len(told) != 0 {
			t.Errorf("at once: %+v", told)
		}
		if told := heard(notifyGrace, rows[1-i]); len(told) != 1 || told[0].About != l.id.contact || told[0].Cleared {
			t.Errorf("flow %d is not listed: %+v", i+1, told)
		}
		if told := heard(2*notifyGrace, rows[1-i]); len(told) != 0 {
			t.Errorf("told again: %+v", told)
		}
		if told := heard(3*notifyGrace, rows...); len(told) != 1 || !told[0].Cleared {
			t.Errorf("listed again: %+v", told)
		}
	}
}

// A difference about the time that outlasts a REGISTER of ours is no news, but another
// query is called for: the registrar may have shortened us again.
func TestDoubtThatOutlastsARefresh(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	const contact = "sip:alice@192.0.2.7:40001"
	l := &line{id: identity{contact: contact}}
	var truths truths
	for n := range 3 {
		at := now.Add(time.Duration(n) * time.Minute)
		l.justBound, l.reg.expiresAt = at, at.Add(time.Hour)
		row := reginfo.Row{Contact: reginfo.Contact{URI: contact, State: reginfo.ContactActive}, At: at, ExpiresAt: at.Add(10 * time.Minute)}
		heard := func(after time.Duration) (told, settle bool) {
			out := truths.compare(testimony{lines: []*line{l}, watched: true, rows: []reginfo.Row{row}, lineOf: func(*reginfo.Row) *line { return l }}, at.Add(after))
			return len(out) > 0, truths.unsettled
		}
		if told, settle := heard(0); told || settle {
			t.Errorf("%d, at once: told %t, settle %t", n, told, settle)
		}
		if told, settle := heard(notifyGrace); told != (n == 0) || !settle {
			t.Errorf("%d, later: told %t, settle %t", n, told, settle)
		}
		if told, settle := heard(2 * notifyGrace); told || settle {
			t.Errorf("%d, again: told %t, settle %t", n, told, settle)
		}
	}
}
