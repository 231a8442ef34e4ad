package interop

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Addresses of the two hosts. MovedHost is where the phone's may move to.
const (
	ServerHost = "10.99.0.1"
	PhoneHost  = "10.99.0.2"
	MovedHost  = "10.99.0.3"
)

// Hosts are two hosts, each a network namespace with the kernel's own IP in it, and the cable between them, which is
// ours: a TUN device on each side. tc's netem would do for the cable too, where the kernel has it.
//
// Nothing of it has a name that could stay behind: a namespace lasts as long as the processes in it, a TUN device as long
// as its file, and both end with this process, however it ends.
type Hosts struct {
	t             testing.TB
	server, phone *netHost

	mu    sync.Mutex
	loss  float64
	delay time.Duration
	cut   bool
}

type netHost struct {
	holder *exec.Cmd // keeps the namespace as long as its standard input is open
	leash  io.Closer
	link   string
	cable  *os.File // IP packets, one a read
}

// StartHosts makes the hosts; the test's end undoes them. Who is not root, or lacks iproute2 or TUN devices, has the test
// skipped; with CI=true it fails.
func StartHosts(t testing.TB) *Hosts {
	t.Helper()
	if lookPath("ip") == "" {
		notInstalled(t, errors.New("not installed: apt-get install iproute2"))
	}
	if os.Geteuid() != 0 {
		notInstalled(t, errors.New("two hosts on one machine need root"))
	}
	h := &Hosts{t: t}
	h.server, h.phone = h.start(ServerHost), h.start(PhoneHost)
	var running sync.WaitGroup
	running.Go(func() { h.carry(h.server.cable, h.phone.cable) })
	running.Go(func() { h.carry(h.phone.cable, h.server.cable) })
	t.Cleanup(func() {
		h.server.cable.Close()
		h.phone.cable.Close()
		running.Wait()
	})
	return h
}

func (h *Hosts) start(addr string) *netHost {
	h.t.Helper()
	n := &netHost{holder: exec.Command("cat")}
	n.holder.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	leash, err := n.holder.StdinPipe()
	if err != nil {
		h.t.Fatal(err)
	}
	n.leash = leash
	if err := n.holder.Start(); err != nil {
		notInstalled(h.t, fmt.Errorf("make a network namespace: %w", err))
	}
	h.t.Cleanup(func() {
		n.leash.Close()
		n.holder.Wait()
	})
	if n.cable, n.link, err = openTUN(); err != nil {
		notInstalled(h.t, fmt.Errorf("make a TUN device: %w", err))
	}
	h.t.Cleanup(func() { n.cable.Close() })
	h.do(lookPath("ip"), "link", "set", n.link, "netns", strconv.Itoa(n.holder.Process.Pid))
	h.do(n.in(lookPath("ip"), "link", "set", "lo", "up")...)
	h.do(n.in(lookPath("ip"), "addr", "add", addr+"/24", "dev", n.link)...)
	h.do(n.in(lookPath("ip"), "link", "set", n.link, "up")...)
	return n
}

// openTUN makes a TUN device and its file, which the device does not outlive.
func openTUN() (*os.File, string, error) {
	// Not os.OpenFile: the runtime's poller takes the file as it is then, and it is no device's yet.
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, "", err
	}
	request, err := unix.NewIfreq("regwatch%d")
	if err == nil {
		request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
	}
	if err != nil {
		unix.Close(fd)
		return nil, "", err
	}
	return os.NewFile(uintptr(fd), "/dev/net/tun"), request.Name(), nil
}

// in is a command that runs on the host.
func (n *netHost) in(command ...string) []string {
	return append([]string{"nsenter", fmt.Sprintf("--net=/proc/%d/ns/net", n.holder.Process.Pid), "--"}, command...)
}

func (h *Hosts) do(command ...string) {
	h.t.Helper()
	if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
		h.t.Fatalf("interop: %v: %v\n%s", command, err, out)
	}
}

// carry takes packets from one side to the other, as the cable is at the time.
func (h *Hosts) carry(from, to *os.File) {
	for {
		packet := make([]byte, 1<<16)
		n, err := from.Read(packet)
		if err != nil {
			return
		}
		h.mu.Lock()
		lost, delay := h.cut || rand.Float64() < h.loss, h.delay
		h.mu.Unlock()
		if !lost {
			time.AfterFunc(delay, func() { to.Write(packet[:n]) })
		}
	}
}

// Bad makes the cable lose that part of the packets and take that long, each way.
func (h *Hosts) Bad(loss float64, delay time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.loss, h.delay = loss, delay
}

// Cut lets nothing through until it is called with false.
func (h *Hosts) Cut(cut bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.cut = cut
}

// MovePhone takes the phone's host its address, and gives it MovedHost.
func (h *Hosts) MovePhone() {
	h.t.Helper()
	h.do(h.phone.in(lookPath("ip"), "addr", "del", PhoneHost+"/24", "dev", h.phone.link)...)
	h.do(h.phone.in(lookPath("ip"), "addr", "add", MovedHost+"/24", "dev", h.phone.link)...)
}

// StartLab starts the lab on its host, and what it starts then on the phone's.
func (h *Hosts) StartLab(program, transport string) *Lab {
	h.t.Helper()
	l := &Lab{t: h.t, dir: h.t.TempDir(), program: program, addr: ServerHost + ":5060", transport: transport, onServer: h.server.in(), onPhone: h.phone.in()}
	l.Start()
	return l
}
