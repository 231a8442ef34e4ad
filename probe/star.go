package probe

import (
	"strconv"

	"regwatch/internal/plural"
	"regwatch/ua"
)

// star sends "Contact: *" while two contacts of ours are bound, and nobody
// else's, and asks after it what is left.
func (x *exam) star(b ua.ByHand) (a, after answer, out outcome, err error) {
	ok, out, err := x.alone()
	if err != nil || !ok {
		return answer{}, answer{}, out, err
	}
	if _, out, err := x.bindOwn(ua.ByHand{}); err != nil || out.verdict != "" {
		return answer{}, answer{}, out, err
	}
	if _, out, err := x.bindOne(x.second(), ua.ByHand{}); err != nil || out.verdict != "" {
		return answer{}, answer{}, out, err
	}
	if a, err = x.send(b); err != nil {
		return a, answer{}, outcome{}, err
	}
	after, err = x.query()
	return a, after, outcome{}, err
}

func starRemoves(x *exam) (outcome, error) {
	a, after, out, err := x.star(ua.ByHand{Contacts: []string{"*"}, Expires: "0"})
	switch {
	case err != nil || out.verdict != "":
		return out, err
	case !a.accepted():
		return broken("%s", a.short()), nil
	case after.accepted() && len(after.Contacts) > 0:
		return broken("%s, and a query still finds %s", a.short(), plural.Count(len(after.Contacts), "contact")), nil
	}
	x.bound = nil
	return held("%s, and a query finds none", a.short()), nil
}

func starWithTime(x *exam) (outcome, error) {
	return x.invalidStar(ua.ByHand{Contacts: []string{"*"}, Expires: strconv.FormatUint(uint64(x.expires), 10)})
}

func starBeside(x *exam) (outcome, error) {
	return x.invalidStar(ua.ByHand{Contacts: []string{"*", x.own.value("", "")}, Expires: "0"})
}

// invalidStar: "the request is invalid, and the server MUST return a 400".
func (x *exam) invalidStar(b ua.ByHand) (outcome, error) {
	a, after, out, err := x.star(b)
	switch {
	case err != nil || out.verdict != "":
		return out, err
	case after.accepted() && !after.lists(x.own):
		return broken("%s, and our contact is gone", a.short()), nil
	case a.Status != 400:
		return broken("%s", a.short()), nil
	}
	return held("%s", a.short()), nil
}
