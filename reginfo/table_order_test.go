package reginfo

import "testing"

// TestVersions: RFC 3680 5.2, first half, and what it leaves open.
func TestVersions(t *testing.T) { walkAll(t, versionWalks) }

var versionWalks = map[string]walk{
	"RFC 3680 5.2: the first document sets the number": {Strict, []step{
		{doc: "7 full\nsip:a@b r active\n- 1 sip:a@x active registered", want: "appeared sip:a@x, !version-not-from-zero"},
		{doc: "8 full\nsip:a@b r terminated", want: "vanished sip:a@x"},
	}, ""},
	"RFC 3680 5.2: one higher is processed": {Strict, []step{
		{doc: "0 full\nsip:a@b r active\n- 1 sip:a@x active registered", want: "appeared sip:a@x"},
		{doc: "1 partial\nsip:a@b r active\n- 2 sip:a@y active registered", want: "appeared sip:a@y"},
		{doc: "2 partial\nsip:a@b r active\n- 1 sip:a@x terminated deactivated", want: "removed sip:a@x deactivated"},
	}, "sip:a@y"},
	"RFC 3680 5.2: more than one higher is processed, and full state asked for": {Strict, []step{
		{doc: "0 full\nsip:a@b r active\n- 1 sip:a@x active registered", want: "appeared sip:a@x"},
		{doc: "5 partial\nsip:a@b r active\n- 2 sip:a@y active registered", want: "need-full, appeared sip:a@y, !version-skipped"},
		{doc: "6 partial\nsip:a@b r active", want: ""},
	}, "sip:a@x sip:a@y"},
	"RFC 3680 5.2: more than one higher and full leaves nothing to ask for": {Tolerant, []step{
		{doc: "0 full\nsip:a@b r active\n- 1 sip:a@x active registered", want: "appeared sip:a@x"},
		{doc: "5 full\nsip:a@b r active\n- 2 sip:a@y active registered", want: "vanished sip:a@x, appeared sip:a@y, !version-skipped"},
	}, "sip:a@y"},
	"RFC 3680 5.2: a gap is closed by the next full document": {Strict, []step{
		{doc: "0 full\nsip:a@b r active\n- 1 sip:a@x active registered\n- 2 sip:a@y active registered", want: "appeared sip:a@x, appeared sip:a@y"},
		{doc: "2 partial\nsip:a@b r active\n- 3 sip:a@z active registered", want: "need-full, appeared sip:a@z, !version-skipped"},
		{doc: "3 full\nsip:a@b r active\n- 2 sip:a@y active registered\n- 3 sip:a@z active registered", want: "vanished sip:a@x"},
	}, "sip:a@y sip:a@z"},
	"RFC 3680 5.2: less is discarded": {Strict, []step{
		{doc: "3 full\nsip:a@b r active\n- 1 sip:a@x active registered", want: "appeared sip:a@x, !version-not-from-zero"},
		{doc: "2 full\nsip:a@b r terminated", want: "discarded, !version-gone-back"},
		{doc: "2 partial\nsip:a@b r active\n- 1 sip:a@x terminated rejected", want: "discarded, !version-gone-back"},
		{doc: "0 full\nsip:a@b r terminated", want: "discarded, !version-gone-back"},
		{doc: "4 partial\nsip:a@b r active\n- 1 sip:a@x terminated rejected", want: "removed sip:a@x rejected"},
	}, ""},
	"strict: equal, or none, is discarded too": {Strict, []step{
		{doc: "3 full\nsip:a@b r active\n- 1 sip:a@x active registered", want: "appeared sip:a@x, !version-not-from-zero"},
		{doc: "3 full\nsip:a@b r terminated", want: "discarded, !version-repeated"},
		{doc: "2 full\nsip:a@b r terminated", want: "discarded, !version-gone-back"},
		{doc: "3 partial\nsip:a@b r terminated", want: "discarded, !version-repeated"},
		{doc: "- full\nsip:a@b r terminated", want: "discarded"},
		{doc: "4 full\nsip:a@b r active\n- 1 sip:a@x active registered", want: ""},
	}, "sip:a@x"},
	"tolerant: a full document in a newer NOTIFY is applied": {Tolerant, []step{
		{doc: "0 full\nsip:a@b r active\n- 1 sip:a@x active registered", cseq: 10, want: "appeared sip:a@x"},
		{doc: "0 full\nsip:a@b r terminated", cseq: 10, want: "discarded, !version-repeated"},
		{doc: "0 full\nsip:a@b r terminated", cseq: 9, want: "discarded, !version-repeated"},
		{doc: "0 full\nsip:a@b r terminated", cseq: 11, want: "vanished sip:a@x, !version-repeated"},
		{doc: "9 full\nsip:a@b r active\n- 1 sip:a@x active registered", cseq: 12, want: "appeared sip:a@x, !version-skipped"},
		{doc: "8 full\nsip:a@b r terminated", cseq: 13, want: "vanished sip:a@x, !version-gone-back"},
		{doc: "9 partial\nsip:a@b r active\n- 1 sip:a@x active registered", cseq: 14, want: "appeared sip:a@x"},
	}, "sip:a@x"},
	"tolerant: a partial that does not fit is discarded, and full state asked for": {Tolerant, []step{
		{doc: "4 full\nsip:a@b r active\n- 1 sip:a@x active registered", want: "appeared sip:a@x, !version-not-from-zero"},
		{doc: "4 partial\nsip:a@b r active\n- 1 sip:a@x terminated expired", want: "discarded, need-full, !version-repeated"},
		{doc: "3 partial\nsip:a@b r active\n- 1 sip:a@x terminated expired", want: "discarded, need-full, !version-gone-back"},
		{doc: "- partial\nsip:a@b r active\n- 1 sip:a@x terminated expired", want: "discarded, need-full"},
		{doc: "- full\nsip:a@b r active\n- 1 sip:a@x terminated expired", want: "removed sip:a@x expired"},
	}, ""},
	"tolerant: the number goes on from where a full document went back to": {Tolerant, []step{
		{doc: "7 full\nsip:a@b r active\n- 1 sip:a@x active registered", want: "appeared sip:a@x, !version-not-from-zero"},
		{doc: "1 partial\nsip:a@b r active\n- 2 sip:a@y active registered", want: "discarded, need-full, !version-gone-back"},
		{doc: "2 full\nsip:a@b r active\n- 1 sip:a@x active registered\n- 2 sip:a@y active registered", want: "appeared sip:a@y, !version-gone-back"},
		{doc: "3 partial\nsip:a@b r active\n- 1 sip:a@x terminated rejected", want: "removed sip:a@x rejected"},
	}, "sip:a@y"},
	"tolerant: the same NOTIFY again, full or partial, changes nothing": {Tolerant, []step{
		{doc: "0 full\nsip:a@b r active\n- 1 sip:a@x active registered", cseq: 1, want: "appeared sip:a@x"},
		{doc: "0 full\nsip:a@b r active\n- 1 sip:a@x active registered", cseq: 1, want: "discarded, !version-repeated"},
		{doc: "1 partial\nsip:a@b r active\n- 2 sip:a@y active registered", cseq: 2, want: "appeared sip:a@y"},
		{doc: "1 partial\nsip:a@b r active\n- 2 sip:a@y active registered", cseq: 2, want: "discarded, need-full, !version-repeated"},
	}, "sip:a@x sip:a@y"},
	"tolerant: Kamailio's version is 0 for ever": {Tolerant, []step{
		{doc: "0 full\nsip:a@b r active\n- 1 sip:a@x active registered", want: "appeared sip:a@x"},
		{doc: "0 full\nsip:a@b r active\n- 1 sip:a@x active created\n- 2 sip:a@y active created", want: "appeared sip:a@y, !version-repeated"},
		{doc: "0 full\nsip:a@b r active\n- 1 sip:a@x terminated unregistered\n- 2 sip:a@y active registered", want: "removed sip:a@x unregistered, !version-repeated"},
		{doc: "0 full\nsip:a@b r terminated", want: "vanished sip:a@y, !version-repeated"},
	}, ""},
	"tolerant: no version at all": {Tolerant, []step{
		{doc: "- full\nsip:a@b r active\n- 1 sip:a@x active registered", cseq: 4, want: "appeared sip:a@x"},
		{doc: "- full\nsip:a@b r terminated", cseq: 3, want: "discarded"},
		{doc: "- full\nsip:a@b r active\n- 1 sip:a@x terminated expired", cseq: 5, want: "removed sip:a@x expired"},
		{doc: "9 full\nsip:a@b r active\n- 1 sip:a@x active registered", cseq: 6, want: "appeared sip:a@x"},
		{doc: "10 partial\nsip:a@b r active\n- 2 sip:a@y active registered", cseq: 7, want: "appeared sip:a@y"},
	}, "sip:a@x sip:a@y"},
	"RFC 3680 5.1: versions beyond 32 and 64 bits": {Strict, []step{
		{doc: "4294967295 full\nsip:a@b r active\n- 1 sip:a@x active registered", want: "appeared sip:a@x, !version-not-from-zero"},
		{doc: "4294967296 partial\nsip:a@b r active\n- 2 sip:a@y active registered", want: "appeared sip:a@y"},
		{doc: "18446744073709551615 partial\nsip:a@b r active", want: "need-full, !version-skipped"},
		{doc: "0 full\nsip:a@b r terminated", want: "discarded, !version-gone-back"},
	}, "sip:a@x sip:a@y"},
	"RFC 3680 4.4: the first document is not full": {Tolerant, []step{
		{doc: "0 partial\nsip:a@b r active\n- 1 sip:a@x active registered", want: "need-full, appeared sip:a@x, !first-document-not-full"},
	}, "sip:a@x"},
}
