package ua

// Update is what a watcher of a Group is given: the snapshots of the accounts
// that changed since the update before (of all accounts in the first one), the
// events since then, oldest first, and how many events between were lost
// because the watcher read too slowly.
type Update struct {
	Snapshots []*Snapshot
	Events    []Event
	Missed    uint64
}
