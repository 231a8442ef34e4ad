package interop

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// installation is where the distribution put what a run needs.
type installation struct {
	kamailio, sqlite3 string
	schema            string // folder of the *-create.sql files; empty when no database is needed
	modules           string // folder of the modules
	load              []string
}

// Modules by the Debian package that holds them, in the order in which they must be loaded.
var modulePackages = []struct {
	pkg     string
	modules []string
	wanted  func(Options) bool
}{
	{"kamailio", []string{"jsonrpcs", "kex", "corex", "tm", "tmx", "sl", "rr", "pv", "maxfwd", "textops", "siputils", "xlog", "path"}, nil},
	{"kamailio", []string{"stun"}, func(o Options) bool { return o.Outbound }}, // how flows over UDP are kept alive
	{"kamailio-outbound-modules", []string{"outbound"}, func(o Options) bool { return o.Outbound }},
	{"kamailio", []string{"usrloc", "registrar", "auth"}, func(o Options) bool { return o.Upstream == "" }},
	{"kamailio", []string{"nathelper"}, func(o Options) bool { return o.FixNAT }},
	{"kamailio-sqlite-modules", []string{"db_sqlite"}, func(o Options) bool { return !o.NoRegEvent }},
	{"kamailio-presence-modules", []string{"presence", "presence_reginfo", "pua", "pua_reginfo"}, func(o Options) bool { return !o.NoRegEvent }},
	{"kamailio-tls-modules", []string{"tls"}, func(o Options) bool { return o.TLS }},
	{"kamailio", []string{"xhttp"}, func(o Options) bool { return o.WebSocket }},
	{"kamailio-websocket-modules", []string{"websocket"}, func(o Options) bool { return o.WebSocket }},
}

// findInstallation finds all that the options need. The error names every package to install, not only the first.
func findInstallation(opts Options) (installation, error) {
	var (
		inst    installation
		missing []string
	)
	lack := func(pkg string) {
		if !slices.Contains(missing, pkg) {
			missing = append(missing, pkg)
		}
	}
	inst.kamailio = lookPath("kamailio")
	if inst.kamailio == "" {
		lack("kamailio")
	}
	for _, pattern := range []string{"/usr/lib/*/kamailio/modules", "/usr/lib64/kamailio/modules", "/usr/lib/kamailio/modules"} {
		if found, _ := filepath.Glob(pattern); len(found) > 0 {
			inst.modules = found[0]
			break
		}
	}
	for _, p := range modulePackages {
		if p.wanted != nil && !p.wanted(opts) {
			continue
		}
		for _, m := range p.modules {
			if _, err := os.Stat(filepath.Join(inst.modules, m+".so")); inst.modules == "" || err != nil {
				lack(p.pkg)
			}
			inst.load = append(inst.load, m)
		}
	}
	if !opts.NoRegEvent {
		if inst.sqlite3 = lookPath("sqlite3"); inst.sqlite3 == "" {
			lack("sqlite3")
		}
		inst.schema = "/usr/share/kamailio/db_sqlite"
		if _, err := os.Stat(filepath.Join(inst.schema, "presence-create.sql")); err != nil {
			lack("kamailio-sqlite-modules")
		}
	}
	if len(missing) > 0 {
		return installation{}, fmt.Errorf("not installed: apt-get install %s", strings.Join(missing, " "))
	}
	return inst, nil
}

// notInstalled skips the test; with CI=true it fails, because there nobody reads skips.
func notInstalled(t testing.TB, err error) {
	t.Helper()
	if ci, _ := strconv.ParseBool(os.Getenv("CI")); ci {
		t.Fatalf("interop: %v", err)
	}
	t.Skipf("interop: %v", err)
}

// lookPath also looks where users' PATHs often do not.
func lookPath(name string) string {
	if p, err := exec.LookPath(name); err == nil {
		return p
	}
	for _, dir := range []string{"/usr/sbin", "/usr/local/sbin"} {
		if p, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return p
		}
	}
	return ""
}

// NeedIPv6 skips the test where the machine has no IPv6 loopback at all. Where it has one, whatever goes wrong on it is a
// fault.
func NeedIPv6(t testing.TB) {
	t.Helper()
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatalf("interop: list this machine's addresses: %v", err)
	}
	if !slices.ContainsFunc(addresses, func(a net.Addr) bool { return strings.HasPrefix(a.String(), "::1/") }) {
		t.Skip("interop: this machine has no ::1")
	}
}
