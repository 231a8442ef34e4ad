package wire

import (
	"bufio"
	"io"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// What resolv.conf(5) bounds too.
const (
	maxNameservers = 3
	maxDNSTimeout  = 30 * time.Second
	maxDNSAttempts = 5
)

// maxSystemFile bounds what is read of a file of the machine's; blocklists make
// hosts files of some megabytes.
const maxSystemFile = 32 << 20

// readNameservers reads a resolv.conf. A file that is not there, or names no
// server, gives none: then the machine has other means (Windows), and
// LookupHost knows them. The search list is left aside: the host of a SIP URI is
// a whole name (RFC 3261 25.1, RFC 3263 4), and what it means may not hang on
// where the machine stands.
func readNameservers(path string) (servers []netip.AddrPort, timeout time.Duration, attempts int) {
	file, err := os.Open(path)
	if err != nil {
		return nil, 0, 0
	}
	defer file.Close()
	config, err := dns.ClientConfigFromReader(io.LimitReader(file, maxSystemFile))
	if err != nil {
		return nil, 0, 0
	}
	for _, server := range config.Servers {
		if addr, err := netip.ParseAddr(server); err == nil && len(servers) < maxNameservers {
			servers = append(servers, netip.AddrPortFrom(addr.Unmap(), 53))
		}
	}
	return servers, min(time.Duration(min(config.Timeout, 60))*time.Second, maxDNSTimeout), min(config.Attempts, maxDNSAttempts)
}

// readHosts reads what a hosts file says of a name, in its order (hosts(5)).
func readHosts(path, name string) []netip.Addr {
	file, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer file.Close()
	var out []netip.Addr
	lines := bufio.NewScanner(io.LimitReader(file, maxSystemFile))
	for lines.Scan() {
		line, _, _ := strings.Cut(lines.Text(), "#")
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		for _, field := range fields[1:] {
			if !strings.EqualFold(strings.TrimSuffix(field, "."), name) {
				continue
			}
			if addr, err := netip.ParseAddr(fields[0]); err == nil && len(out) < maxAddrs {
				out = append(out, addr.Unmap())
			}
			break
		}
	}
	return out
}
