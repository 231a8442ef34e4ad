package config

import (
	"slices"
	"strings"

	"regwatch/internal/tables"
	"regwatch/ua"
)

// key is one setting: where it stands, how its value is read, and whether it
// does anything in this version.
type key struct {
	name   string // with its table: "account.aor", "account.on.probation", "ui.bell"
	set    setter
	idle   bool // no effect yet: setting it brings a warning
	secret bool // its value is never repeated in a message
}

// place is what a setter writes to. Keys of [[account]] have an account, the
// others write to the config.
type place struct {
	config  *Config
	account *draft
}

// draft is an account while its keys are read.
type draft struct {
	ua.Account
	line            int            // of [[account]]
	lines           map[string]int // of each key, as named below the account
	password        *string        // nil: not set
	passwordEnv     string
	passwordCommand string
}

// keys is every setting of the config file, in the order of the
// documentation. Where one comes to life, its idle mark goes.
var keys = slices.Concat([]key{
	{name: "account.aor", set: text(func(p place) *string { return &p.account.AOR })},
	{name: "account.name", set: text(func(p place) *string { return &p.account.Name })},
	{name: "account.display_name", set: text(func(p place) *string { return &p.account.DisplayName })},
	{name: "account.username", set: text(func(p place) *string { return &p.account.Username })},
	{name: "account.password", set: password, secret: true},
	{name: "account.password_env", set: filled(text(func(p place) *string { return &p.account.passwordEnv }))},
	{name: "account.password_command", set: filled(text(func(p place) *string { return &p.account.passwordCommand }))},
	{name: "account.ha1", set: hex(func(p place) *string { return &p.account.HA1 }, 32, 64), secret: true},
	{name: "account.registrar", set: text(func(p place) *string { return &p.account.Registrar })},
	{name: "account.outbound_proxy", set: proxies},
	{name: "account.transport", set: word(func(p place) *string { return &p.account.Transport }, "udp", "tcp", "tls", "ws", "wss")},
	{name: "account.ws_path", set: text(func(p place) *string { return &p.account.WSPath })},
	{name: "account.local_address", set: text(func(p place) *string { return &p.account.LocalAddress })},
	{name: "account.expires", set: number(func(p place) *uint32 { return &p.account.Expires }, 1, maxUint32)},
	{name: "account.subscribe_expires", set: number(func(p place) *uint32 { return &p.account.SubscribeExpires }, 1, maxUint32)},
	{name: "account.instance_id", set: text(func(p place) *string { return &p.account.InstanceID })},
	{name: "account.reg_id", set: number(func(p place) *uint32 { return &p.account.RegID }, 1, maxInt32)},
	{name: "account.outbound", set: not(func(p place) *bool { return &p.account.NoOutbound })},
	{name: "account.gruu", set: not(func(p place) *bool { return &p.account.NoGRUU })},
	{name: "account.keepalive", set: keepalive},
	{name: "account.register", set: not(func(p place) *bool { return &p.account.WatchOnly })},
	{name: "account.watch", set: watch},
	{name: "account.watch_uri", set: watchURI},
	{name: "account.poll_interval", set: pollInterval},
	{name: "account.settle", set: settle},
	{name: "account.subscribe_contact", set: choice(func(p place) *bool { return &p.account.SubscribeGRUU }, "address", "gruu")},
	{name: "account.versions", set: choice(func(p place) *bool { return &p.account.StrictVersions }, "tolerant", "strict")},
	{name: "account.manners", set: choice(func(p place) *bool { return &p.account.IMS }, "rfc", "ims")},
	{name: "account.digest", set: digest},
	{name: "account.aka_k", set: hex(func(p place) *string { return &p.account.AKA.K }, 32), secret: true},
	{name: "account.aka_op", set: hex(func(p place) *string { return &p.account.AKA.OP }, 32), secret: true},
	{name: "account.aka_opc", set: hex(func(p place) *string { return &p.account.AKA.OPc }, 32), secret: true},
	{name: "account.aka_amf", set: hex(func(p place) *string { return &p.account.AKA.AMF }, 4)},
	{name: "account.aka_sqn", set: hex(func(p place) *string { return &p.account.AKA.SQN }, 12)},
	{name: "account.follow_redirects", set: flag(func(p place) *bool { return &p.account.FollowRedirects })},
	{name: "account.on_exit", set: choice(func(p place) *bool { return &p.account.Leave }, "unregister", "leave")},
	{name: "account.q", set: qvalue},
	{name: "account.contact_params", set: contactParams},
	{name: "account.headers", set: headers},
}, policyKeys(), []key{
	{name: "account.tls.ca_file", set: text(func(p place) *string { return &p.account.TLS.CAFile })},
	{name: "account.tls.cert_file", set: text(func(p place) *string { return &p.account.TLS.CertFile })},
	{name: "account.tls.key_file", set: text(func(p place) *string { return &p.account.TLS.KeyFile })},
	{name: "account.tls.server_name", set: text(func(p place) *string { return &p.account.TLS.ServerName })},
	{name: "account.tls.min_version", set: word(func(p place) *string { return &p.account.TLS.MinVersion }, "1.2", "1.3")},
	{name: "account.tls.insecure_skip_verify", set: flag(func(p place) *bool { return &p.account.TLS.InsecureSkipVerify })},
	{name: "ui.bell", set: not(func(p place) *bool { return &p.config.UI.NoBell })},
	{name: "ui.notify", set: wordOr("off", func(p place) *string { return &p.config.UI.Notify }, "osc9", "osc777")},
	{name: "ui.theme", set: wordOr("auto", func(p place) *string { return &p.config.UI.Theme }, "light", "dark")},
	{name: "ui.trace_limit", set: number(func(p place) *uint32 { return &p.config.UI.TraceLimit }, 1, 1_000_000)},
	{name: "journal.file", set: journalFile},
	{name: "journal.max_size", set: size(func(p place) *int64 { return &p.config.Journal.MaxSize })},
	{name: "metrics.listen", set: listenAddress},
})

// policyKeys are the keys of [account.on], one for each kick.
func policyKeys() []key {
	var all []key
	for _, kick := range ua.Kicks {
		all = append(all, key{name: "account.on." + string(kick), set: policy(kick)})
	}
	return all
}

// keyOf finds a key by its whole name.
func keyOf(name string) (key, bool) {
	i := slices.IndexFunc(keys, func(k key) bool { return k.name == name })
	if i < 0 {
		return key{}, false
	}
	return keys[i], true
}

// unknown says what may be meant by a name that no key has.
func unknown(name string) string {
	if isTable(name) {
		return "is a table; write " + bracketed(name) + " and its keys below"
	}
	table, own := split(name)
	var siblings []string
	for _, k := range keys {
		otherTable, other := split(k.name)
		if other == own {
			return "is unknown here; it belongs in " + bracketed(otherTable)
		}
		if otherTable == table {
			siblings = append(siblings, other)
		}
	}
	if len(siblings) == 0 {
		return "is unknown, and so is its table; known are [[account]], [account.on], [account.tls], [ui], [journal] and [metrics]"
	}
	return "is unknown; the nearest known one is \"" + tables.Nearest(own, siblings) + "\""
}

// split parts a whole name at its last dot.
func split(name string) (table, own string) {
	i := strings.LastIndexByte(name, '.')
	return name[:max(i, 0)], name[i+1:]
}

// bracketed writes a table as its header is written.
func bracketed(table string) string {
	if table == "account" {
		return "[[account]]"
	}
	return "[" + table + "]"
}
