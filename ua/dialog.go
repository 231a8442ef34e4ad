package ua

import "regwatch/internal/wire"

// dialog is one with a notifier, seen from us (RFC 3261 12). Its remote half is
// set by the first NOTIFY, not by the 2xx: a forked SUBSCRIBE has only one 2xx
// (RFC 6665 4.4.1).
type dialog struct {
	callID     string
	about      string // the address-of-record that it is about: the remote URI
	fromTag    string
	remoteTag  string
	remoteCSeq uint32
	target     string
	routes     []string
	tied       bool // its SUBSCRIBE asked for all to come over the flow that it took (RFC 5626 4.3)
}

// freshDialog begins a dialog that nobody has answered yet.
func freshDialog() dialog { return dialog{callID: randomHex(12), fromTag: randomHex(6)} }

// live reports whether there is a dialog that a NOTIFY may belong to.
func (d *dialog) live() bool { return d.callID != "" }

// confirmed reports whether a NOTIFY has made the dialog whole.
func (d *dialog) confirmed() bool { return d.remoteTag != "" }

// belongs reports whether a NOTIFY is for this dialog (RFC 6665 4.4.1, RFC 3261
// 12.2.2): our Call-ID and tag, and the notifier's tag once the first has set it.
func (d *dialog) belongs(n wire.Notify) bool {
	return d.live() && n.CallID == d.callID && n.ToTag == d.fromTag && (d.remoteTag == "" || n.FromTag == d.remoteTag)
}

// heard takes from a NOTIFY that belongs to the dialog what it says of that.
func (d *dialog) heard(n wire.Notify) {
	if !d.confirmed() {
		d.remoteTag, d.routes = n.FromTag, n.RouteSet
	}
	d.remoteCSeq = n.CSeq
	if n.Target != "" {
		d.target = n.Target // target refresh (RFC 6665 4.4.1)
	}
}
