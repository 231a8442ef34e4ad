package ua

import (
	"math/rand/v2"
	"slices"
	"time"

	"regwatch/reginfo"
)

const (
	// An automatic REGISTER comes after 0 to this, so that the phones of a whole
	// city do not come back in one second.
	reactionJitter = 2 * time.Second
	// Probation without a time asks for one all the same.
	probationDefault = 30 * time.Second
	// This many kicks within warWithin, each after an automatic REGISTER, and we
	// stop and ask: something fights us.
	warKicks  = 3
	warWithin = time.Minute
)

// reaction decides what to do at a kick, and holds the kicks that are open.
type reaction struct {
	prompts   []Prompt
	automatic bool        // our last REGISTER was an automatic answer to a kick
	war       []time.Time // kicks that followed automatic REGISTERs
}

// kick decides by policy about a kick that has its number. left is how long our binding still runs, for a
// shortening.
func (r *reaction) kick(k Kick, policy Policy, p Prompt, left time.Duration, now time.Time) Prompt {
	p.At, p.On, p.Policy = now, k, policy
	jitter := rand.N(reactionJitter)
	if r.automatic {
		r.war = slices.DeleteFunc(append(r.war, now), func(t time.Time) bool { return now.Sub(t) > warWithin })
	}
	switch {
	case policy == Never:
		p.Decision = Stopped
	case policy == Ask:
		p.Decision = Asked
	case k == KickRejected:
		// RFC 3680 4.7.1: registering again will not help; never by itself.
		p.Decision = Stopped
	case len(r.war) >= warKicks:
		p.Decision = Asked
		p.Evidence = append(slices.Clone(p.Evidence), "kicked three times within a minute after registering again by itself: stopped")
	case k == KickProbation:
		wait := probationDefault
		if p.Contact.RetryAfter.Present {
			wait = time.Duration(min(p.Contact.RetryAfter.Value, 1<<31)) * time.Second
		}
		p.Decision, p.ActAt = Waiting, now.Add(wait+jitter)
	case k == KickShortened:
		p.Decision, p.ActAt = Reregistering, now.Add(min(jitter, max(left, 0)/2))
	default:
		p.Decision, p.ActAt = Reregistering, now.Add(jitter)
	}
	r.prompts = append(slices.Clone(r.prompts), p)
	return p
}

// rejected decides anew of the kick that is open, and turned out to be a rejection:
// the contact is as the registrar told it now.
func (r *reaction) rejected(c reginfo.Contact, policy Policy) Prompt {
	r.prompts = slices.Clone(r.prompts)
	p := &r.prompts[len(r.prompts)-1]
	p.On, p.Contact, p.Policy, p.Decision, p.ActAt = KickRejected, c, policy, Stopped, time.Time{}
	if policy == Ask {
		p.Decision = Asked
	}
	return *p
}

// told reports whether that kick was met at that time already: a document tells it
// under each identity of an implicit registration set.
func (r *reaction) told(k Kick, at time.Time) bool {
	return slices.ContainsFunc(r.prompts, func(p Prompt) bool { return p.On == k && p.At.Equal(at) })
}

// action is the event that tells of a prompt's decision.
func (p Prompt) action(now time.Time) ActionDetail {
	d := ActionDetail{On: p.On, Policy: p.Policy, Decision: p.Decision}
	if !p.ActAt.IsZero() {
		d.In = Seconds(p.ActAt.Sub(now))
	}
	return d
}

// due reports whether a prompt's time to register has come.
func (r *reaction) due(now time.Time) bool {
	return slices.ContainsFunc(r.prompts, func(p Prompt) bool { return due(p.ActAt, now) })
}

func (r *reaction) next() time.Time {
	var at time.Time
	for _, p := range r.prompts {
		at = earliest(at, p.ActAt)
	}
	return at
}

func (r *reaction) shift(by time.Duration) {
	r.prompts = slices.Clone(r.prompts)
	for i := range r.prompts {
		shift(by, &r.prompts[i].ActAt)
	}
}

// acted: the times are used up; the prompts stay until we are registered.
func (r *reaction) acted() {
	r.prompts = slices.Clone(r.prompts)
	for i := range r.prompts {
		r.prompts[i].ActAt = time.Time{}
	}
	r.automatic = true
}

// ignore closes a prompt; ok is false where there is none of that number.
func (r *reaction) ignore(id uint64) (p Prompt, ok bool) {
	i := slices.IndexFunc(r.prompts, func(p Prompt) bool { return p.ID == id })
	if i < 0 {
		return Prompt{}, false
	}
	p = r.prompts[i]
	r.prompts = slices.Delete(slices.Clone(r.prompts), i, i+1)
	p.Decision, p.ActAt = Ignored, time.Time{}
	return p, true
}

func (r *reaction) clear() { r.prompts = nil }

// underAnotherName: the standard has a word for a removal by the network, and
// this one says that the device, or nobody, did it.
func underAnotherName(event reginfo.ContactEvent) bool {
	return event == reginfo.Unregistered || event == reginfo.Expired || event == reginfo.Absent
}
