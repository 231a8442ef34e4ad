package ua

import "regwatch/reginfo"

// Meaning explains one word of a reginfo document to a person: what it says by
// the standard, and what the standard asks of the device.
type Meaning struct {
	Word   reginfo.ContactEvent
	Means  string
	Asks   string
	Clause string
}

// Meanings lists the nine words of RFC 3680 5.1 and our own word for a contact
// that vanished, in the order of the documentation.
var Meanings = []Meaning{
	{reginfo.Registered, "a REGISTER made the binding", "nothing", "RFC 3680 5.1"},
	{reginfo.Created, "the network made the binding, by no REGISTER", "nothing", "RFC 3680 5.1"},
	{reginfo.Refreshed, "a REGISTER renewed the binding", "nothing", "RFC 3680 5.1"},
	{reginfo.Shortened, "the network made the binding expire sooner", "register again before the new expiry", "RFC 3680 4.1, 5.1"},
	{reginfo.Expired, "nobody refreshed the binding in time", "register again, if it was not meant", "RFC 3680 5.1"},
	{reginfo.Deactivated, "the network removed the binding", "register again at once", "RFC 3680 5.1"},
	{reginfo.Probation, "the network removed the binding for a while", "register again after the time it names", "RFC 3680 5.1"},
	{reginfo.Unregistered, "a REGISTER removed the binding", "nothing, of a device that asked for it", "RFC 3680 5.1"},
	{reginfo.Rejected, "the network no longer allows this user to register", "do not register again", "RFC 3680 5.1"},
	{reginfo.Absent, "the binding is gone from the list without a word", "ask the registrar, then register again", "RFC 3680 5.2"},
}

// InWords is a word as sentences have it: our own, which no standard explains,
// with what it means.
func InWords(word reginfo.ContactEvent) string {
	if word == reginfo.Absent {
		return "absent (gone without a word)"
	}
	return string(word)
}

// MeaningOf explains a word; ok is false for a word that no standard knows.
func MeaningOf(word reginfo.ContactEvent) (m Meaning, ok bool) {
	for _, m := range Meanings {
		if m.Word == word {
			return m, true
		}
	}
	return Meaning{}, false
}
