package tui

import (
	"fmt"
	"strings"
	"time"

	"regwatch/reginfo"
	"regwatch/ua"
)

// foldWithin is how far apart the parts of one change may be told: the answer to
// our REGISTER, the NOTIFY about it, and the GRUUs in both.
const foldWithin = 5 * time.Second

// change is a row of the overview's timeline: an event, with what belongs to it
// and would only say the same again.
type change struct {
	ua.Event
	seen      *ua.ContactDetail // of our registration: the registrar's word for it
	temporary int               // GRUUs that came with it
	public    int
	gone      int // temporary ones that it ended
}

// fold adds the event to one of the last changes where it belongs to that, and
// reports whether it did.
func fold(changes []change, e ua.Event) bool {
	for i := len(changes) - 1; i >= 0 && len(changes)-i <= 8; i-- {
		if c := &changes[i]; e.Time.Sub(c.Time) > foldWithin {
			return false
		} else if c.takes(e) {
			return true
		}
	}
	return false
}

func (c *change) takes(e ua.Event) bool {
	switch d := e.Detail.(type) {
	case ua.GRUUDetail:
		switch c.Detail.(type) {
		case ua.GRUUDetail, ua.RegistrationDetail:
		default:
			if !c.binds() {
				return false
			}
		}
		c.count(d)
		return true
	case ua.ContactDetail:
		r, ok := c.Detail.(ua.RegistrationDetail)
		if !ok || c.seen != nil || !c.binds() || !bindsUs(d) || !sameRegister(r, d) {
			return false
		}
		c.seen = &d
		return true
	case ua.RegistrationDetail:
		if d.State != ua.Registered {
			return false
		}
		switch was := c.Detail.(type) {
		case ua.GRUUDetail: // of the same answer, which is told after them
			if e.Message == 0 || e.Message != c.Message {
				return false
			}
			c.count(was)
		case ua.ContactDetail: // the NOTIFY overtook the answer
			if !bindsUs(was) || !sameRegister(d, was) {
				return false
			}
			c.seen = &was
		default:
			return false
		}
		c.Event = e
		return true
	}
	return false
}

// binds reports whether the change is a registration of ours that went well.
func (c *change) binds() bool {
	switch d := c.Detail.(type) {
	case ua.RegistrationDetail:
		return d.State == ua.Registered
	case ua.ContactDetail:
		return bindsUs(d)
	}
	return false
}

func bindsUs(d ua.ContactDetail) bool {
	return d.Own && d.Active() && d.Origin == ua.OriginSelf && (d.Event == reginfo.Registered || d.Event == reginfo.Refreshed)
}

// sameRegister reports whether both are of one REGISTER, as far as the registrar
// tells which it was.
func sameRegister(r ua.RegistrationDetail, d ua.ContactDetail) bool {
	if d.RegID.Present && r.RegID != 0 && d.RegID.Value != uint64(r.RegID) {
		return false // of another flow
	}
	return !d.CSeq.Present || r.CSeq == 0 || d.CallID != r.CallID && r.CallID != "" || uint64(r.CSeq) == d.CSeq.Value
}

func (c *change) count(d ua.GRUUDetail) {
	switch {
	case d.Change == ua.Invalidated:
		c.gone++
	case d.Type == ua.PublicGRUU:
		c.public++
	default:
		c.temporary++
	}
}

// toldWhole says what happened, in one line for all of it.
func (a *app) toldWhole(c *change) string {
	text := told(c.Event)
	if c.seen != nil {
		event := c.Event
		event.Detail = *c.seen
		text = told(event)
	}
	if d, ok := c.Detail.(ua.GRUUDetail); ok {
		if c.public+c.temporary+c.gone == 0 {
			return text
		}
		alone := *c
		alone.count(d)
		return strings.TrimPrefix(alone.gruus(), ", ")
	}
	return text + c.gruus()
}

// gruus says what became of GRUUs along with the change.
func (c *change) gruus() string {
	text := ""
	switch {
	case c.public > 0 && c.temporary > 0:
		text += ", new GRUUs"
	case c.public > 0:
		text += ", new public GRUU"
	case c.temporary > 0:
		text += ", " + several(c.temporary, "new temporary GRUU")
	}
	if c.gone > 0 {
		text += ", " + several(c.gone, "temporary GRUU") + " ended"
	}
	return text
}

func several(n int, what string) string {
	if n == 1 {
		return what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
