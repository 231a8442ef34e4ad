package probe

import (
	"regwatch/reginfo"
	"regwatch/ua"
)

// flow binds the device as a flow; out has a verdict where the registrar does not
// take it for one.
func (x *exam) flow() (answer, outcome, error) {
	a, err := x.bind(x.own, ua.ByHand{})
	switch {
	case err != nil:
	case a.Status == 439:
		return a, notOffered("%s", a.short()), nil
	case !a.accepted():
		return a, notTried("the contact that it needs was not bound: %s", a.short()), nil
	case !has(a.final, "Require", "", "outbound"):
		return a, notOffered("%s, without Require: outbound", a.short()), nil
	}
	return a, outcome{}, err
}

func outboundRequired(x *exam) (outcome, error) {
	a, out, err := x.flow()
	if err != nil || out.verdict != "" {
		return out, err
	}
	came := a.short() + ", Require: outbound"
	if timer := a.final.Header("Flow-Timer", ""); timer != "" {
		came += ", Flow-Timer: " + timer
	}
	return held("%s", came), nil
}

func flowReplaced(x *exam) (outcome, error) {
	if _, out, err := x.flow(); err != nil || out.verdict != "" {
		return out, err
	}
	moved := contact{uri: x.elsewhere(), instance: x.own.instance, regID: x.own.regID}
	a, err := x.bind(moved, ua.ByHand{})
	if err != nil {
		return outcome{}, err
	}
	var ours []reginfo.Contact
	for _, c := range a.Contacts {
		if x.isOurs(c) {
			ours = append(ours, c)
		}
	}
	switch {
	case !a.accepted():
		return broken("%s", a.short()), nil
	case len(ours) != 1:
		return broken("%s, %d of them ours", a.short(), len(ours)), nil
	case reginfo.SameURI(ours[0].URI, x.own.uri):
		return broken("%s, ours with the URI that it had before", a.short()), nil
	}
	return held("%s, ours at its new URI", a.short()), nil
}

func secondFlow(x *exam) (outcome, error) {
	if _, out, err := x.flow(); err != nil || out.verdict != "" {
		return out, err
	}
	other := contact{uri: x.elsewhere(), instance: x.own.instance, regID: 2}
	a, err := x.bind(other, ua.ByHand{})
	switch {
	case err != nil:
		return outcome{}, err
	case !a.accepted():
		return broken("%s", a.short()), nil
	case !a.lists(other) || !a.lists(x.own):
		return broken("%s, not both flows among them", a.short()), nil
	}
	return held("%s, both flows among them", a.short()), nil
}
