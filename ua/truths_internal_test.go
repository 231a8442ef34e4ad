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
