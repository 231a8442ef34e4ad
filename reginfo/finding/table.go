package finding

import "slices"

// Entry is what the table knows of a code.
type Entry struct {
	Code     Code
	Severity Severity
	// Clause is the place in the standards, or "regwatch" where the rule is
	// ours.
	Clause string
	// Sentence explains the code to people.
	Sentence string
}

// Table returns every code in the order in which they are documented. The
// slice is the caller's own.
func Table() []Entry { return slices.Clone(entries) }

// Lookup returns what the table knows of a code.
func Lookup(c Code) (Entry, bool) {
	e, ok := byCode[c]
	return e, ok
}

var byCode = func() map[Code]Entry {
	m := make(map[Code]Entry, len(entries))
	for _, e := range entries {
		m[e.Code] = e
	}
	return m
}()

var entries = []Entry{
	// The document's version: its order among the documents of a subscription.
	{VersionMissing, Error, "RFC 3680 5.1",
		"The document has no version, so it cannot be put in order."},
	{VersionNotFromZero, Warning, "RFC 3680 5.1",
		"The first document of the subscription does not count from 0."},
	{VersionRepeated, Warning, "RFC 3680 5.1",
		"The version is that of the document before; each document must count one more."},
	{VersionGoneBack, Warning, "RFC 3680 5.2",
		"The version is lower than that of the document before; the standard has such a document thrown away."},
	{VersionSkipped, Warning, "RFC 3680 5.2",
		"Versions were left out: documents may have been lost on the way."},
	{VersionOver32Bits, Warning, "RFC 3680 5.1",
		"The version does not fit in 32 bits."},
	{FirstNotFull, Error, "RFC 3680 4.4",
		"The first document of the subscription is not full state; nothing says which other contacts there are."},
	// What a document, a registration or a contact must say.
	{StateMissing, Error, "RFC 3680 5.1",
		"A state that must be given is not."},
	{StateUnknown, Error, "RFC 3680 5.1",
		"A state is none of the words that the standard knows."},
	{EventMissing, Error, "RFC 3680 5.1",
		"A contact does not say which event brought it into its state."},
	{EventUnknown, Error, "RFC 3680 5.1",
		"A contact's event is none of the nine words that the standard knows."},
	{IDMissing, Warning, "RFC 3680 5.1",
		"A registration or contact has no id."},
	{IDRepeated, Warning, "RFC 3680 5.1",
		"Two registrations or two contacts of one document share an id."},
	{AORMissing, Error, "RFC 3680 5.1",
		"A registration does not say whose it is."},
	{AORForm, Warning, "RFC 3680 5.1",
		"The aor is not a bare URI."},
	{URIMissing, Error, "RFC 3680 5.1",
		"A contact or a GRUU comes without its URI."},
	{URIForm, Warning, "RFC 3680 5.4",
		"The content of uri is not a bare URI."},
	{NumberInvalid, Warning, "RFC 3680 5.4",
		"A number is not an unsigned integer of at most 64 bits."},
	{InstanceForm, Info, "RFC 5626 4.1",
		"The instance lacks the quotes or angle brackets it carries in Contact, or carries its colons escaped."},
	{ParameterKnown, Info, "RFC 3680 5.1",
		"An unknown-param repeats what the document has an attribute for."},
	// What the parts of a document say of each other.
	{EventMisfit, Warning, "RFC 3680 4.7.1",
		"The event does not lead to the state it comes with."},
	{ShortenedWithoutExpires, Warning, "RFC 3680 5.1",
		"A contact was shortened, but not said to what."},
	{ProbationWithoutRetryAfter, Warning, "RFC 3680 5.1",
		"A contact was put on probation, but not said for how long."},
	{ActiveInTerminated, Warning, "RFC 3680 4.7.1",
		"A registration that has no contacts by its state lists an active one."},
	{AORRepeated, Warning, "RFC 3680 5.1",
		"Two registration elements are about one address-of-record."},
	{ContactRepeated, Warning, "RFC 3680 5.1",
		"One contact is listed twice for one address-of-record."},
	{RegistrationIDChanged, Warning, "RFC 3680 5.1",
		"The id of an address-of-record changed within the subscription."},
	{ContactIDReused, Warning, "RFC 3680 5.1",
		"The id of one contact was given to another within the subscription."},
	{ContactIDChanged, Info, "RFC 3680 5.1",
		"A contact's id changed though its URI did not."},
	// The document as XML.
	{MalformedXML, Error, "RFC 3680 5.1",
		"The document is not well-formed XML; a strict reader would see nothing of it."},
	{Doctype, Error, "XML 1.0 2.8",
		"The document brings a DOCTYPE; it is passed over, and no entity of it is expanded."},
	{LimitExceeded, Error, "RFC 3680 7",
		"The document is larger or deeper than any honest one; the rest of it was not read."},
	{AttributeOutsideSchema, Info, "RFC 3680 5.4",
		"An attribute of no namespace is unknown to the schema."},
	{ElementOutsideSchema, Warning, "RFC 3680 5.4",
		"An element of the reginfo namespace is unknown to the schema, or in the wrong place."},
	{NamespaceWrong, Warning, "RFC 3680 5.1",
		"An element carries a namespace, or none, that it should not have."},
	{NamespaceUndeclared, Error, "Namespaces in XML 1.0 5",
		"A prefix is used that no xmlns declares; a strict reader would see nothing of the document."},
	{Charset, Warning, "RFC 3680 5.1",
		"The document is not encoded in UTF-8."},
	{FindingsCut, Info, "regwatch",
		"There are more findings than are shown."},
	// GRUUs.
	{TempGRUUWithoutFirstCSeq, Warning, "RFC 5628 5",
		"A temporary GRUU comes without first-cseq, so which older ones still work cannot be told."},
	{FirstCSeqAboveCSeq, Warning, "RFC 5628 5",
		"The oldest temporary GRUU is said to be younger than the newest REGISTER."},
	{GRUUWithoutGr, Warning, "RFC 5627 3.1",
		"A GRUU has no gr parameter, so a proxy cannot tell it from an ordinary address."},
	{PubGRUUOtherAOR, Warning, "RFC 5627 3.1.1",
		"A public GRUU, less its gr parameter, is not the address-of-record it is given for."},
	{GRUUDiffers, Warning, "RFC 5628 5",
		"The GRUU in the NOTIFY is not the one in the answer to REGISTER."},
	// The subscription and its NOTIFYs.
	{SubscriptionStateMissing, Error, "RFC 6665 4.1.3",
		"A NOTIFY has no Subscription-State."},
	{SubscriptionStateMismatch, Warning, "RFC 6665 4.1.3",
		"Subscription-State and the body contradict each other."},
	{NotifyFlood, Info, "RFC 3680 4.10",
		"More than 12 unsolicited NOTIFYs came within a minute; the package asks for at most one in five seconds."},
	{NoNotify, Error, "RFC 6665 4.1.2.4",
		"The subscription was accepted, but no NOTIFY came before Timer N ran out."},
	// The registration as watched from both sides.
	{GrantedLonger, Warning, "RFC 3261 10.3",
		"The registrar granted a longer time than was asked for; it may only shorten it."},
	{InstanceShared, Error, "RFC 5626 4.1",
		"Two devices register with one instance id and take each other's binding."},
	{KickUnderAnotherName, Warning, "RFC 3680 4.7.1",
		"A contact was taken off by the network, but the event says that its owner did it or that its time ran out."},
	{LapseNotNotified, Warning, "RFC 3680 4.7.2",
		"A binding ended, and no NOTIFY told of it."},
	// What comes from others than those whom we wrote to.
	{AnswerFromElsewhere, Warning, "RFC 3581 4",
		"An answer came from another address than its request went to, and was not taken."},
	{CrowdOfStrangers, Warning, "regwatch",
		"More messages came from addresses that we never wrote to, or from those that we did, than are taken; the rest was dropped unread."},
	// What we keep.
	{TableFull, Warning, "regwatch",
		"There are more contacts than the table holds; those beyond are not watched."},
}
