package finding

// The document's version: its order among the documents of a subscription.
const (
	VersionMissing     Code = "version-missing"
	VersionNotFromZero Code = "version-not-from-zero"
	VersionRepeated    Code = "version-repeated"
	VersionGoneBack    Code = "version-gone-back"
	VersionSkipped     Code = "version-skipped"
	VersionOver32Bits  Code = "version-over-32-bits"
	FirstNotFull       Code = "first-document-not-full"
)

// What a document, a registration or a contact must say.
const (
	StateMissing   Code = "state-missing"
	StateUnknown   Code = "state-unknown"
	EventMissing   Code = "event-missing"
	EventUnknown   Code = "event-unknown"
	IDMissing      Code = "id-missing"
	IDRepeated     Code = "id-repeated"
	AORMissing     Code = "aor-missing"
	AORForm        Code = "aor-form"
	URIMissing     Code = "uri-missing"
	URIForm        Code = "uri-form"
	NumberInvalid  Code = "number-invalid"
	InstanceForm   Code = "instance-form"
	ParameterKnown Code = "parameter-known"
)

// What the parts of a document say of each other.
const (
	EventMisfit                Code = "event-does-not-fit-state"
	ShortenedWithoutExpires    Code = "shortened-without-expires"
	ProbationWithoutRetryAfter Code = "probation-without-retry-after"
	ActiveInTerminated         Code = "active-contact-in-terminated-registration"
	AORRepeated                Code = "aor-repeated"
	ContactRepeated            Code = "contact-repeated"
	RegistrationIDChanged      Code = "registration-id-changed"
	ContactIDReused            Code = "contact-id-reused"
	ContactIDChanged           Code = "contact-id-changed"
)

// The document as XML.
const (
	MalformedXML           Code = "malformed-xml"
	Doctype                Code = "doctype-refused"
	LimitExceeded          Code = "limit-exceeded"
	AttributeOutsideSchema Code = "attribute-outside-schema"
	ElementOutsideSchema   Code = "element-outside-schema"
	NamespaceWrong         Code = "namespace-wrong"
	NamespaceUndeclared    Code = "namespace-undeclared"
	Charset                Code = "charset-not-utf-8"
	FindingsCut            Code = "findings-cut"
)

// GRUUs.
const (
	TempGRUUWithoutFirstCSeq Code = "temp-gruu-without-first-cseq"
	FirstCSeqAboveCSeq       Code = "first-cseq-above-cseq"
	GRUUWithoutGr            Code = "gruu-without-gr"
	PubGRUUOtherAOR          Code = "pub-gruu-of-another-aor"
	GRUUDiffers              Code = "gruu-differs"
)

// The subscription and its NOTIFYs.
const (
	SubscriptionStateMissing  Code = "subscription-state-missing"
	SubscriptionStateMismatch Code = "subscription-state-mismatch"
	NotifyFlood               Code = "notify-flood"
	NoNotify                  Code = "no-notify"
)

// The registration as watched from both sides.
const (
	GrantedLonger        Code = "granted-longer-than-asked"
	InstanceShared       Code = "instance-shared"
	KickUnderAnotherName Code = "kick-under-another-name"
	LapseNotNotified     Code = "lapse-not-notified"
)

// What comes from others than those whom we wrote to.
const (
	AnswerFromElsewhere Code = "answer-from-elsewhere"
	CrowdOfStrangers    Code = "crowd-of-strangers"
)

// What we keep.
const (
	TableFull Code = "table-full"
)
