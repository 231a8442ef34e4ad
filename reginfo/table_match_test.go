package reginfo

import "testing"

// TestIdentity: rows are indexed by the id of the contact (RFC 3680 5.2), which
// registrars use again, leave out and change; so each says what else must agree.
func TestIdentity(t *testing.T) { walkAll(t, identityWalks) }

var identityWalks = map[string]walk{
	"an id reused at once": {Tolerant, []step{
		{doc: "0 full\nsip:a@b r active\n- 0x1 sip:a@x active registered call=c\n- 0x2 sip:a@y active registered call=d", want: "appeared sip:a@x, appeared sip:a@y"},
		{doc: "0 full\nsip:a@b r active\n- 0x1 sip:a@z active registered call=e\n- 0x2 sip:a@y active registered call=d",
			want: "vanished sip:a@x, appeared sip:a@z, !contact-id-reused, !version-repeated"},
	}, "sip:a@z sip:a@y"},
	"an id reused in a partial": {Tolerant, []step{
		{doc: "0 full\nsip:a@b r active\n- 1 sip:a@x active registered call=c\n- 2 sip:a@y active registered call=d", want: "appeared sip:a@x, appeared sip:a@y"},
		{doc: "1 partial\nsip:a@b r active\n- 1 sip:a@z active registered call=e", want: "vanished sip:a@x, appeared sip:a@z, !contact-id-reused"},
	}, "sip:a@y sip:a@z"},
	"an id reused for one that was known before": {Tolerant, []step{
		{doc: "0 full\nsip:a@b r active\n- 1 sip:a@x active registered call=c cseq=1", want: "appeared sip:a@x"},
		{doc: "1 partial\nsip:a@b r active\n- 1 sip:a@x terminated rejected call=c cseq=1", want: "removed sip:a@x rejected"},
		{doc: "2 partial\nsip:a@b r active\n- 1 sip:a@y active registered call=d", want: "appeared sip:a@y, !contact-id-reused"},
		{doc: "4 partial\nsip:a@b r active\n- 1 sip:a@x active registered call=c cseq=2",
			want: "need-full, vanished sip:a@y, appeared sip:a@x, !contact-id-reused, !version-skipped"},
	}, "sip:a@x"},
	"ids swapped": {Tolerant, []step{
		{doc: "0 full\nsip:a@b r active\n- 1 sip:a@x active registered call=c\n- 2 sip:a@y active registered call=d", want: "appeared sip:a@x, appeared sip:a@y"},
		{doc: "1 full\nsip:a@b r active\n- 2 sip:a@x active registered call=c\n- 1 sip:a@y active registered call=d", want: "!contact-id-changed, !contact-id-reused"},
	}, "sip:a@x sip:a@y"},
	"RFC 3261 19.1.4: an id changed, the URI did not": {Tolerant, []step{
		{doc: "0 full\nsip:a@b r active\n- 1 sip:%61@x active registered call=c", want: "appeared sip:%61@x"},
		{doc: "1 full\nsip:a@b r active\n- 2 sip:a@X active registered call=c", want: "!contact-id-changed"},
	}, "sip:a@X"},
	"a URI rewritten": {Tolerant, []step{
		{doc: "0 full\nsip:a@b r active\n- 1 sip:a@x active registered call=c cseq=1", want: "appeared sip:a@x"},
		{doc: "1 full\nsip:a@b r active\n- 1 sip:a@nat:40112 active refreshed call=c cseq=2", want: "altered sip:a@nat:40112 cseq+uri"},
	}, "sip:a@nat:40112"},
	"a URI rewritten, and back": {Tolerant, []step{
		{doc: "0 full\nsip:a@b r active\n- 1 sip:a@x active registered call=c cseq=1", want: "appeared sip:a@x"},
		{doc: "1 full\nsip:a@b r terminated", want: "vanished sip:a@x"},
		{doc: "2 full\nsip:a@b r active\n- 2 sip:a@nat:40112 active registered call=c cseq=2", want: "appeared sip:a@nat:40112"},
		{doc: "3 partial\nsip:a@b r active\n- 2 sip:a@x active refreshed call=c cseq=3", want: "altered sip:a@x cseq+uri"},
	}, "sip:a@x"},
	"a URI spelled as before it went": {Tolerant, []step{
		{doc: "0 full\nsip:a@b r active\n- 1 sip:a@x;ob active registered inst=urn:uuid:1 call=c cseq=1", want: "appeared sip:a@x;ob"},
		{doc: "1 full\nsip:a@b r terminated", want: "vanished sip:a@x;ob"},
		{doc: "2 full\nsip:a@b r active\n- 1 sip:a@x active registered inst=urn:uuid:1 call=d cseq=1", want: "appeared sip:a@x"},
		{doc: "3 full\nsip:a@b r active\n- 1 sip:a@x;ob active registered inst=urn:uuid:1 call=d cseq=1", want: ""},
	}, "sip:a@x;ob"},
	"RFC 5626 4.2: a device that moves, with reg-id": {Tolerant, []step{
		{doc: "0 full\nsip:a@b r active\n- 1 sip:a@x active registered inst=urn:uuid:AA reg=1 call=c", want: "appeared sip:a@x"},
		{doc: "1 partial\nsip:a@b r active\n- 2 sip:a@y active registered inst=urn:uuid:aa reg=1 call=d", want: "altered sip:a@y call-id+uri"},
		{doc: "2 partial\nsip:a@b r active\n- 1 sip:a@x terminated expired inst=urn:uuid:aa reg=1 call=c", want: "removed sip:a@x expired"},
		{doc: "3 partial\nsip:a@b r active\n- 3 sip:a@y active registered inst=urn:uuid:aa reg=2 call=f", want: "appeared sip:a@y"},
	}, "sip:a@y sip:a@y"},
	"RFC 5626 4.2: the address that a device left says nothing of where it is": {Tolerant, []step{
		{doc: "0 full\nsip:a@b r active\n- 2 sip:a@y active registered inst=urn:uuid:1 reg=1 call=c cseq=2", want: "appeared sip:a@y"},
		{doc: "1 partial\nsip:a@b r active\n- 1 sip:a@x terminated expired inst=urn:uuid:1 reg=1 call=c cseq=1", want: ""},
		{doc: "2 full\nsip:a@b r active\n- 1 sip:a@x terminated expired inst=urn:uuid:1 reg=1 call=c cseq=1", want: "vanished sip:a@y"},
	}, ""},
	"RFC 3680 5.2: a device that moves, without reg-id": {Tolerant, []step{
		{doc: "0 full\nsip:a@b r active\n- 1 sip:a@x active registered inst=urn:uuid:1 call=c cseq=1", want: "appeared sip:a@x"},
		{doc: "1 partial\nsip:a@b r active\n- 2 sip:a@y active registered inst=urn:uuid:1 call=c cseq=2", want: "appeared sip:a@y"},
		{doc: "2 partial\nsip:a@b r active\n- 1 sip:a@x terminated expired inst=urn:uuid:1 call=c cseq=1", want: "removed sip:a@x expired"},
		{doc: "3 full\nsip:a@b r active\n- 3 sip:a@z active registered inst=urn:uuid:1 call=c cseq=3", want: "altered sip:a@z cseq+uri"},
	}, "sip:a@z"},
	"two devices of one private address": {Tolerant, []step{
		{doc: "0 full\nsip:a@b r active\n- 1 sip:a@10.0.0.1 active registered inst=urn:uuid:1\n- 2 sip:a@10.0.0.1 active registered inst=urn:uuid:2",
			want: "appeared sip:a@10.0.0.1, appeared sip:a@10.0.0.1"},
		{doc: "1 full\nsip:a@b r active\n- 1 sip:a@10.0.0.1 active registered inst=urn:uuid:2", want: "vanished sip:a@10.0.0.1, !contact-id-changed, !contact-id-reused"},
	}, "sip:a@10.0.0.1"},
	"two bindings of one URI": {Tolerant, []step{
		{doc: "0 full\nsip:a@b r active\n- 1 sip:a@x active registered call=c\n- 2 sip:a@x active registered call=d", want: "appeared sip:a@x, appeared sip:a@x"},
		{doc: "1 full\nsip:a@b r active\n- 1 sip:a@x terminated deactivated call=c\n- 2 sip:a@x active registered call=d", want: "removed sip:a@x deactivated"},
	}, "sip:a@x"},
	"RFC 3680 5.2: two bindings of one URI in partial documents": {Strict, []step{
		{doc: "0 full\nsip:a@b r active\n- 1 sip:a@x active registered call=c", want: "appeared sip:a@x"},
		{doc: "1 partial\nsip:a@b r active\n- 2 sip:a@x active registered call=d", want: "appeared sip:a@x"},
		{doc: "2 partial\nsip:a@b r active\n- 3 sip:a@x terminated rejected call=e", want: "removed sip:a@x rejected"},
		{doc: "3 partial\nsip:a@b r active\n- 2 sip:a@x terminated rejected call=d", want: "removed sip:a@x rejected"},
		{doc: "4 full\nsip:a@b r active\n- 1 sip:a@x active registered call=c", want: ""},
	}, "sip:a@x"},
	"two addresses of one instance, one moved: the Call-ID decides": {Tolerant, []step{
		{doc: "0 full\nsip:a@b r active\n- 1 sip:a@x active registered inst=urn:uuid:1 call=c cseq=1\n- 2 sip:a@y active registered inst=urn:uuid:1 call=d cseq=1", want: "appeared sip:a@x, appeared sip:a@y"},
		{doc: "1 full\nsip:a@b r active\n- 3 sip:a@z active registered inst=urn:uuid:1 call=d cseq=2", want: "vanished sip:a@x, altered sip:a@z cseq+uri"},
	}, "sip:a@z"},
	"two bindings of one URI, one back when the other is gone": {Tolerant, []step{
		{doc: "0 full\nsip:a@b r active\n- 1 sip:a@x active registered call=c\n- 2 sip:a@x active registered call=d", want: "appeared sip:a@x, appeared sip:a@x"},
		{doc: "1 full\nsip:a@b r active\n- 1 sip:a@x terminated rejected call=c\n- 2 sip:a@x active registered call=d", want: "removed sip:a@x rejected"},
		{doc: "2 full\nsip:a@b r active\n- 1 sip:a@x active registered call=c", want: "vanished sip:a@x, appeared sip:a@x"},
	}, "sip:a@x"},
	"two bindings of one URI, their removals repeated": {Tolerant, []step{
		{doc: "0 full\nsip:a@b r active\n- 1 sip:a@x active registered call=c\n- 2 sip:a@x active registered call=d", want: "appeared sip:a@x, appeared sip:a@x"},
		{doc: "1 full\nsip:a@b r active\n- 1 sip:a@x terminated rejected call=c\n- 2 sip:a@x active registered call=d", want: "removed sip:a@x rejected"},
		{doc: "2 full\nsip:a@b r active\n- 1 sip:a@x terminated rejected call=c\n- 2 sip:a@x terminated rejected call=d", want: "removed sip:a@x rejected"},
		{doc: "3 full\nsip:a@b r active\n- 1 sip:a@x terminated rejected call=c\n- 2 sip:a@x terminated rejected call=d", want: ""},
	}, ""},
	"an instance shown now and then": {Tolerant, []step{
		{doc: "0 full\nsip:a@b r active\n- 1 sip:a@x active registered inst=urn:uuid:1 call=c", want: "appeared sip:a@x"},
		{doc: "1 full\nsip:a@b r active\n- 1 sip:a@x active registered call=c", want: ""},
		{doc: "2 full\nsip:a@b r active\n- 1 sip:a@x active registered inst=urn:uuid:1 call=c", want: ""},
	}, "sip:a@x"},
	"nothing to tell them by": {Tolerant, []step{
		{doc: "0 full\nsip:a@b r active\n- ? ? active registered\n- ? ? active registered", want: "appeared , appeared "},
		{doc: "1 full\nsip:a@b r active\n- ? ? active registered\n- ? ? active registered", want: ""},
		{doc: "2 full\nsip:a@b r active\n- ? ? active registered", want: "vanished "},
	}, ""},
	"a device that starts anew, and the id of another that is gone": {Strict, []step{
		{doc: "0 full\nsip:a@b r active\n- 1 sip:a@x active registered inst=urn:uuid:1 call=c\n- 2 sip:a@y active registered inst=urn:uuid:1 call=d", want: "appeared sip:a@x, appeared sip:a@y"},
		{doc: "2 partial\nsip:a@b r active\n- 2 sip:a@x active registered inst=urn:uuid:1 call=e",
			want: "need-full, vanished sip:a@y, altered sip:a@x call-id, !contact-id-changed, !contact-id-reused, !version-skipped"},
	}, "sip:a@x"},
	"only an id, and the device comes from elsewhere": {Tolerant, []step{
		{doc: "0 full\nsip:a@b r active\n- 1 sip:a@x active registered inst=urn:uuid:1 reg=1 call=c", want: "appeared sip:a@x"},
		{doc: "1 partial\nsip:a@b r active\n- 1 ? terminated rejected\n- 2 sip:a@y active registered inst=urn:uuid:1 reg=1 call=d",
			want: "removed sip:a@x rejected, appeared sip:a@y"},
	}, "sip:a@y"},
	"only an id": {Tolerant, []step{
		{doc: "0 full\nsip:a@b r active\n- 1 sip:a@x active registered call=c", want: "appeared sip:a@x"},
		{doc: "1 partial\nsip:a@b r active\n- 1 ? terminated rejected", want: "removed sip:a@x rejected"},
	}, ""},
}

// TestNewDialog: versions and ids belong to one subscription (RFC 3680 5.1), so
// the tables of the next are compared with those before by what contacts are.
func TestNewDialog(t *testing.T) { walkAll(t, dialogWalks) }

var dialogWalks = map[string]walk{
	"ids and versions mean nothing, CSeq begins anew": {Tolerant, []step{
		{doc: "5 full\nsip:a@b r active\n- 1 sip:a@x active registered call=c cseq=1 exp=100\n- 2 sip:a@y active registered call=d", cseq: 99,
			want: "appeared sip:a@x, appeared sip:a@y, !version-not-from-zero"},
		{doc: "renew"},
		{doc: "0 full\nsip:a@b other active\n- 2 sip:a@x active refreshed call=c cseq=1 exp=40\n- 1 sip:a@z active registered call=e", cseq: 1, after: 60,
			want: "vanished sip:a@y, appeared sip:a@z"},
		{doc: "renew"},
		{doc: "0 partial\nsip:a@b third terminated", cseq: 1, want: "need-full, vanished sip:a@x, vanished sip:a@z, !first-document-not-full"},
	}, ""},
	"strict: a lower version is the first of its dialog": {Strict, []step{
		{doc: "9 full\nsip:a@b r active\n- 1 sip:a@x active registered call=c cseq=1", want: "appeared sip:a@x, !version-not-from-zero"},
		{doc: "renew"},
		{doc: "0 full\nsip:a@b q active\n- 7 sip:a@x active registered call=c cseq=1", want: ""},
		{doc: "1 partial\nsip:a@b q active\n- 7 sip:a@x terminated rejected call=c cseq=1", want: "removed sip:a@x rejected"},
	}, ""},
	"ids swapped between contacts and between registrations": {Strict, []step{
		{doc: "0 full\nsip:a@b r active\n- 1 sip:a@x active registered call=c\nsip:c@b s active\n- 2 sip:a@y active registered call=d", want: "appeared sip:a@x, appeared sip:a@y"},
		{doc: "renew"},
		{doc: "0 full\nsip:a@b s active\n- 2 sip:a@x active registered call=c\nsip:c@b r active\n- 1 sip:a@y active registered call=d", want: ""},
	}, "sip:a@x sip:a@y"},
	"what happened in between is told": {Strict, []step{
		{doc: "0 full\nsip:a@b r active\n- 1 sip:a@x active registered call=c cseq=1 exp=600\n- 2 sip:a@y active registered call=d cseq=1\n- 3 sip:a@z active registered inst=urn:uuid:1 reg=1 call=e cseq=1",
			want: "appeared sip:a@x, appeared sip:a@y, appeared sip:a@z"},
		{doc: "renew"},
		{doc: "0 full\nsip:a@b r active\n- 1 sip:a@x active shortened call=c cseq=1 exp=30\n- 2 sip:a@y terminated probation call=d cseq=1\n- 3 sip:a@w active registered inst=urn:uuid:1 reg=1 call=f cseq=1", after: 60,
			want: "altered sip:a@x expires, removed sip:a@y probation, altered sip:a@w call-id+uri"},
	}, "sip:a@x sip:a@w"},
	"a removal told in the dialog before is not told again": {Strict, []step{
		{doc: "0 full\nsip:a@b r active\n- 1 sip:a@x active registered call=c cseq=1", want: "appeared sip:a@x"},
		{doc: "1 full\nsip:a@b r terminated\n- 1 sip:a@x terminated rejected call=c cseq=1", want: "removed sip:a@x rejected"},
		{doc: "renew"},
		{doc: "0 full\nsip:a@b q terminated\n- 5 sip:a@x terminated expired call=c cseq=1", want: ""},
	}, ""},
	"a partial document first": {Tolerant, []step{
		{doc: "0 full\nsip:a@b r active\n- 1 sip:a@x active registered call=c\n- 2 sip:a@y active registered call=d", want: "appeared sip:a@x, appeared sip:a@y"},
		{doc: "renew"},
		{doc: "4 partial\nsip:a@b q active\n- 1 sip:a@z active registered call=e", want: "need-full, appeared sip:a@z, !first-document-not-full, !version-not-from-zero"},
		{doc: "5 partial\nsip:a@b q terminated", want: "vanished sip:a@x, vanished sip:a@y, vanished sip:a@z"},
	}, ""},
}
