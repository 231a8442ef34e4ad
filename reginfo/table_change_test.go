package reginfo

import "testing"

// TestChanges: a change is a state, Call-ID, CSeq or time of expiry that differs
// from the row before; another word is none (RFC 3680 4.7.1 has the words), but for
// one that says what nothing else tells.
func TestChanges(t *testing.T) { walkAll(t, changeWalks) }

var changeWalks = map[string]walk{
	"a new word alone is no change": {Tolerant, []step{
		{doc: "0 full\nsip:a@b r active\n- 1 sip:a@x active created call=c cseq=1 exp=100", want: "appeared sip:a@x"},
		{doc: "1 full\nsip:a@b r active\n- 1 sip:a@x active refreshed call=c cseq=1 exp=90", after: 10, want: ""},
		{doc: "2 full\nsip:a@b r active\n- 1 sip:a@x active shortened call=c cseq=1 exp=76", after: 10, want: ""},
	}, "sip:a@x"},
	"but for shortened without a time": {Tolerant, []step{
		{doc: "0 full\nsip:a@b r active\n- 1 sip:a@x active registered", want: "appeared sip:a@x"},
		{doc: "1 full\nsip:a@b r active\n- 1 sip:a@x active shortened", want: "altered sip:a@x event"},
		{doc: "2 full\nsip:a@b r active\n- 1 sip:a@x active shortened", want: ""},
		{doc: "3 full\nsip:a@b r active\n- 1 sip:a@x active registered", want: ""},
	}, "sip:a@x"},
	"what is a change": {Tolerant, []step{
		{doc: "0 full\nsip:a@b r active\n- 1 sip:a@x active registered call=c cseq=1 exp=100", want: "appeared sip:a@x"},
		{doc: "1 full\nsip:a@b r active\n- 1 sip:a@x active registered call=c cseq=2 exp=100", want: "altered sip:a@x cseq"},
		{doc: "2 full\nsip:a@b r active\n- 1 sip:a@x active registered call=d cseq=2 exp=100", want: "altered sip:a@x call-id"},
		{doc: "3 full\nsip:a@b r active\n- 1 sip:a@x active registered call=d cseq=2 exp=94", want: "altered sip:a@x expires"},
		{doc: "4 full\nsip:a@b r active\n- 1 sip:a@x active registered call=d cseq=2 exp=99", want: ""},
		{doc: "5 full\nsip:a@b r active\n- 1 sip:a@x active registered", want: ""},
		{doc: "6 full\nsip:a@b r active\n- 1 sip:a@x active registered pub=sip:a@b;gr", want: ""},
	}, "sip:a@x"},
	"a removal repeated is one": {Tolerant, []step{
		{doc: "0 full\nsip:a@b r active\n- 1 sip:a@x active registered call=c cseq=1", want: "appeared sip:a@x"},
		{doc: "1 full\nsip:a@b r active\n- 1 sip:a@x terminated unregistered call=c cseq=1", want: "removed sip:a@x unregistered"},
		{doc: "2 full\nsip:a@b r active\n- 1 sip:a@x terminated expired call=c cseq=1", want: ""},
		{doc: "3 full\nsip:a@b r active", want: ""},
		{doc: "4 full\nsip:a@b r active\n- 9 sip:a@x terminated unregistered call=c cseq=1", want: "!contact-id-changed"},
		{doc: "5 full\nsip:a@b r active\n- 9 sip:a@x terminated unregistered call=c cseq=5", want: "removed sip:a@x unregistered"},
		{doc: "6 full\nsip:a@b r active\n- 9 sip:a@x terminated unregistered call=c cseq=1", want: ""},
		{doc: "7 full\nsip:a@b r active\n- 9 sip:a@x terminated unregistered call=c cseq=5", want: ""},
		{doc: "8 full\nsip:a@b r active\n- 9 sip:a@x active registered call=c cseq=6", want: "appeared sip:a@x"},
		{doc: "9 full\nsip:a@b r active\n- 9 sip:a@x terminated unregistered call=c cseq=6", want: "removed sip:a@x unregistered"},
	}, ""},
	"a word after it vanished": {Tolerant, []step{
		{doc: "0 full\nsip:a@b r active\n- 1 sip:a@x active registered call=c cseq=1", want: "appeared sip:a@x"},
		{doc: "1 full\nsip:a@b r init", want: "vanished sip:a@x"},
		{doc: "2 full\nsip:a@b r init\n- 1 sip:a@x terminated expired call=c cseq=1", want: ""},
	}, ""},
	"first seen terminated": {Tolerant, []step{
		{doc: "0 full\nsip:a@b r terminated\n- 1 sip:a@x terminated rejected", want: "removed sip:a@x rejected"},
	}, ""},
	"a removal repeated beside the contact that came back": {Tolerant, []step{
		{doc: "0 full\nsip:a@b r active\n- 1 sip:a@x active registered call=c cseq=1", want: "appeared sip:a@x"},
		{doc: "1 full\nsip:a@b r terminated\n- 1 sip:%61@x terminated unregistered call=c cseq=1", want: "removed sip:%61@x unregistered"},
		{doc: "2 full\nsip:a@b r active\n- 1 sip:%61@x terminated unregistered call=c cseq=1\n- 1 sip:a@x active created call=c cseq=2", want: "appeared sip:a@x"},
		{doc: "3 full\nsip:a@b r active\n- 1 sip:a@x terminated unregistered call=c cseq=1\n- 1 sip:%61@x active created call=c cseq=2", want: ""},
		{doc: "4 full\nsip:a@b r terminated\n- 1 sip:a@x terminated unregistered call=c cseq=1\n- 1 sip:%61@x terminated unregistered call=c cseq=2",
			want: "removed sip:%61@x unregistered, !contact-repeated"},
		{doc: "5 full\nsip:a@b r terminated\n- 1 sip:%61@x terminated unregistered call=c cseq=1\n- 1 sip:a@x terminated unregistered call=c cseq=2", want: "!contact-repeated"},
	}, ""},
	"a removal repeated after a Call-ID changed": {Tolerant, []step{
		{doc: "0 full\nsip:a@b r active\n- 1 sip:a@x active registered call=c cseq=1", want: "appeared sip:a@x"},
		{doc: "1 full\nsip:a@b r terminated\n- 1 sip:a@x terminated unregistered call=c cseq=1", want: "removed sip:a@x unregistered"},
		{doc: "2 full\nsip:a@b r active\n- 1 sip:a@x terminated unregistered call=c cseq=1\n- 2 sip:a@x active created call=d cseq=1", want: "appeared sip:a@x"},
		{doc: "3 full\nsip:a@b r terminated\n- 1 sip:a@x terminated unregistered call=c cseq=1\n- 2 sip:a@x terminated unregistered call=d cseq=1", want: "removed sip:a@x unregistered"},
	}, ""},
	"a removal repeated, and another under a Call-ID that was never shown": {Tolerant, []step{
		{doc: "0 full\nsip:a@b r active\n- ? sip:a@x active registered inst=urn:uuid:1 call=c", want: "appeared sip:a@x"},
		{doc: "1 full\nsip:a@b r terminated\n- ? sip:a@x terminated unregistered inst=urn:uuid:1 call=c", want: "removed sip:a@x unregistered"},
		{doc: "2 full\nsip:a@b r active\n- ? sip:a@x terminated unregistered inst=urn:uuid:1 call=c\n- ? sip:a@x active created inst=urn:uuid:1 call=d", want: "appeared sip:a@x"},
		{doc: "3 full\nsip:a@b r terminated\n- ? sip:a@x terminated unregistered inst=urn:uuid:1 call=c\n- ? sip:a@x terminated unregistered inst=urn:uuid:1 call=rpc", want: "removed sip:a@x unregistered"},
	}, ""},
	"a removal from before is all that a full document says of a contact": {Tolerant, []step{
		{doc: "0 full\nsip:a@b r active\n- 1 sip:a@x active registered call=c cseq=2", want: "appeared sip:a@x"},
		{doc: "1 full\nsip:a@b r active\n- 1 sip:a@x terminated unregistered call=c cseq=1", want: "removed sip:a@x unregistered"},
		{doc: "2 full\nsip:a@b r active\n- 1 sip:a@x active registered call=d cseq=1", want: "appeared sip:a@x"},
		{doc: "3 full\nsip:a@b r active\n- 1 sip:a@x terminated unregistered call=c cseq=1", want: "removed sip:a@x unregistered"},
	}, ""},
	"a removal from before ends nothing in a partial document": {Tolerant, []step{
		{doc: "0 full\nsip:a@b r active\n- 1 sip:a@x active registered call=c cseq=2", want: "appeared sip:a@x"},
		{doc: "1 partial\nsip:a@b r active\n- 1 sip:a@x terminated unregistered call=c cseq=1", want: ""},
		{doc: "2 partial\nsip:a@b r active\n- 1 sip:a@x terminated rejected call=c cseq=2", want: "removed sip:a@x rejected"},
	}, ""},
	"a removal of long ago is told anew after an old document": {Tolerant, []step{
		{doc: "1 full\nsip:a@b r active\n- 1 sip:a@x active registered call=c cseq=2", want: "appeared sip:a@x, !version-not-from-zero"},
		{doc: "2 full\nsip:a@b r terminated\n- 1 sip:a@x terminated unregistered call=c cseq=2", want: "removed sip:a@x unregistered"},
		{doc: "9 full\nsip:a@b r active\n- 1 sip:a@x active registered call=c cseq=1", want: "appeared sip:a@x, !version-skipped"},
		{doc: "10 full\nsip:a@b r terminated", want: "vanished sip:a@x"},
		{doc: "11 full\nsip:a@b r terminated\n- 1 sip:a@x terminated unregistered call=c cseq=2", want: ""},
	}, ""},
	"a removal never heard of, beside the contact under a Call-ID of its own": {Tolerant, []step{
		{doc: "0 full\nsip:a@b r active\n- 1 sip:a@x active registered call=c", want: "appeared sip:a@x"},
		{doc: "1 full\nsip:a@b r active\n- 1 sip:a@x terminated expired call=d\n- 1 sip:a@x active registered call=e", want: "altered sip:a@x call-id"},
	}, "sip:a@x"},
	"removed under a Call-ID that was never shown, and bound again": {Tolerant, []step{
		{doc: "0 full\nsip:a@b r active\n- 1 sip:a@x active registered call=c", want: "appeared sip:a@x"},
		{doc: "1 full\nsip:a@b r active\n- 1 sip:a@x terminated unregistered call=rpc\n- 2 sip:a@x active created call=d", want: "removed sip:a@x unregistered, appeared sip:a@x"},
	}, "sip:a@x"},
	"removed, and bound again under another Call-ID, in one document": {Tolerant, []step{
		{doc: "0 full\nsip:a@b r active\n- 1 sip:a@x active registered call=c cseq=7", want: "appeared sip:a@x"},
		{doc: "1 partial\nsip:a@b r active\n- 1 sip:a@x terminated deactivated call=c cseq=7\n- 2 sip:a@x active registered call=d cseq=1",
			want: "removed sip:a@x deactivated, appeared sip:a@x"},
	}, "sip:a@x"},
}
