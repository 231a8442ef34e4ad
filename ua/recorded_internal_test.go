package ua

import (
	"testing"

	"regwatch/reginfo"
)

// TestOwnOfARecording: an account's contacts are told by what its last run left in
// the state directory, which stays as it is, and by its own REGISTERs.
func TestOwnOfARecording(t *testing.T) {
	const instance = "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"
	dir, account := t.TempDir(), Account{AOR: "sip:alice@example.com"}
	if OwnOf(account, dir).Known() || OwnOf(account, "").Known() {
		t.Error("something is known of an account that never ran")
	}
	state, err := openState(dir, "alice", account.AOR)
	if err != nil {
		t.Fatal(err)
	}
	if err := state.save(remembered{Instance: instance, CallID: "run1", Contact: "sip:alice@192.0.2.7"}); err != nil {
		t.Fatal(err)
	}
	own := OwnOf(account, dir) // while the run still has it
	check := func(c reginfo.Contact, want MatchedBy) {
		t.Helper()
		c.State = reginfo.ContactActive
		if by, is := own.Match(c); by != want || is != (want != "") {
			t.Errorf("%+v: ours by %q, want %q", c, by, want)
		}
	}
	if !own.Known() {
		t.Error("nothing is known")
	}
	check(reginfo.Contact{URI: "sip:x@192.0.2.9", Instance: instance}, ByInstance)
	check(reginfo.Contact{URI: "sip:x@192.0.2.9", CallID: "run1"}, ByCallID)
	check(reginfo.Contact{URI: "sip:alice@192.0.2.7"}, ByURI)
	check(reginfo.Contact{URI: "sip:alice@192.0.2.7", Instance: "urn:uuid:other"}, "")

	// A later run of the device, and what it is granted; then another device's.
	own.Registers(reginfo.Contact{URI: "sip:alice@192.0.2.8", Instance: instance}, "run2")
	own.Registers(reginfo.Contact{URI: "sip:bob@192.0.2.10", Instance: "urn:uuid:other"}, "other")
	own.Granted(reginfo.Contact{URI: "sip:alice@192.0.2.8", Instance: instance, PubGRUU: "sip:alice@example.com;gr=x"}, "run2")
	own.Granted(reginfo.Contact{URI: "sip:alice@192.0.2.8", Instance: instance, PubGRUU: "sip:alice@example.com;gr=y"}, "other")
	check(reginfo.Contact{URI: "sip:x@192.0.2.9", CallID: "run2"}, ByCallID)
	check(reginfo.Contact{URI: "sip:alice@192.0.2.8"}, ByURI)
	check(reginfo.Contact{URI: "sip:bob@192.0.2.10", CallID: "other"}, "")
	check(reginfo.Contact{URI: "sip:x@192.0.2.9", PubGRUU: "sip:alice@example.com;gr=x"}, ByGRUU)
	check(reginfo.Contact{URI: "sip:x@192.0.2.9", PubGRUU: "sip:alice@example.com;gr=y"}, "")

	// Another reg-id is of another flow, where there is one.
	second := reginfo.Contact{URI: "sip:alice@192.0.2.7:6060", Instance: instance, RegID: reginfo.Num(2)}
	check(second, "")
	account.OutboundProxy = []string{"sip:192.0.2.2", "sip:192.0.2.3"}
	if err := state.save(remembered{Instance: instance, CallID: "run3", Flows: []rememberedFlow{{RegID: 2, CallID: "run3b"}}}); err != nil {
		t.Fatal(err)
	}
	own = OwnOf(account, dir)
	check(second, ByInstance)
	check(reginfo.Contact{URI: "sip:x@192.0.2.9", CallID: "run3"}, ByCallID)
	check(reginfo.Contact{URI: "sip:x@192.0.2.9", CallID: "run3b"}, ByCallID)

	account.WatchOnly = true
	if own := OwnOf(account, dir); own.Known() {
		t.Error("an account that only watches has a contact")
	}
}
