package probe

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"regwatch/reginfo"
	"regwatch/reginfo/finding"
	"regwatch/ua"
)

// notOfDocuments are codes that documents alone do not show, that have a check of
// their own which knows what was lost or overtaken on the way, or that are of us.
var notOfDocuments = []finding.Code{
	finding.GRUUDiffers, finding.GrantedLonger, finding.InstanceShared, finding.KickUnderAnotherName,
	finding.LapseNotNotified, finding.NoNotify, finding.VersionSkipped, finding.FirstNotFull, finding.TableFull, finding.FindingsCut,
	finding.AnswerFromElsewhere, finding.CrowdOfStrangers,
}

// ofDocuments makes a check of each finding that documents and their NOTIFYs may
// show: they are met on the way.
func ofDocuments() []Check {
	var out []Check
	for _, e := range finding.Table() {
		if slices.Contains(notOfDocuments, e.Code) {
			continue
		}
		out = append(out, Check{
			ID: "document." + string(e.Code), Group: documents, Clause: e.Clause, late: true, run: met(e),
			Title: fmt.Sprintf("nothing is found as %s (%s)", e.Code, e.Severity),
		})
	}
	return out
}

// met looks which findings were told. What breaks nothing is held all the same.
func met(e finding.Entry) func(*exam) (outcome, error) {
	return func(x *exam) (outcome, error) {
		if err := x.watchSome(); err != nil {
			return outcome{}, err
		}
		if !x.read {
			x.read = true
			if err := x.wait(time.Second, "until the last documents are read"); err != nil {
				return outcome{}, err
			}
		}
		x.sent = nil // it is no REGISTER of its own that shows it
		all := notices(x.seen.messages(0))
		found := slices.DeleteFunc(x.seen.found(), func(f ua.FindingDetail) bool { return f.Code != e.Code })
		switch {
		case len(all) == 0:
			return notTried("no NOTIFY came"), nil
		case len(found) == 0:
			return held(""), nil
		}
		came := cmp.Or(found[0].Detail, e.Sentence)
		if len(found) > 1 {
			came += fmt.Sprintf(", and %d more", len(found)-1)
		}
		if e.Severity == finding.Info {
			return held("%s", came), nil
		}
		for _, n := range all {
			if n.document != nil && slices.ContainsFunc(n.document.Findings, func(f finding.Finding) bool { return f.Code == e.Code }) {
				x.messages = append(x.messages, n.Message)
				break
			}
		}
		return broken("%s", came), nil
	}
}

// watchSome sees to it that there are documents to look at, where no check before
// has watched.
func (x *exam) watchSome() error {
	if x.watched != nil {
		return nil
	}
	if s, err := x.watch(); err != nil || !s.accepted() {
		return err
	}
	_, c, told, _, err := x.bindWatched()
	if err != nil || told == nil {
		return err
	}
	since := x.seen.mark()
	if _, err := x.unbind(c); err != nil {
		return err
	}
	_, err = x.awaitTold(x.watched, since, toldWithin, func(n notice) bool { return goneFrom(n, c) })
	return err
}

func contactsOf(n *notice) (all []reginfo.Contact) {
	for _, r := range n.document.Registrations {
		all = append(all, r.Contacts...)
	}
	return all
}
