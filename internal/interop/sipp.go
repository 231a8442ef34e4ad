package interop

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// SIPp is a running SIPp that plays a registrar by a scenario, for the answers that Kamailio cannot be made to give.
type SIPp struct {
	dir  string // all that it writes; removed at the end
	port int
	proc *process
}

// sippTimeout is when SIPp itself gives up a scenario, which is then a failure.
const sippTimeout = 20 * time.Second

// StartSIPp plays testdata/SCENARIO.xml over a transport, udp or tcp, and returns when it listens. To SIPp each Call-ID is
// a call, which goes through the scenario from its beginning: the REGISTERs of a device are one, each of its subscriptions
// is another. After that many calls it ends by itself; see Wait. Without an installed SIPp the test is skipped; with
// CI=true it fails, because there nobody reads skips.
func StartSIPp(t testing.TB, transport, scenario string, calls int) *SIPp {
	t.Helper()
	program := lookPath("sipp")
	if program == "" {
		notInstalled(t, errors.New("not installed: apt-get install sip-tester"))
	}
	for try := 1; ; try++ {
		s, err := startSIPp(t, program, transport, scenario, calls)
		if err == nil {
			return s
		}
		if try == startTries || !errors.Is(err, errPortTaken) {
			t.Fatalf("interop: start sipp: %v", err)
		}
	}
}

func startSIPp(t testing.TB, program, transport, scenario string, calls int) (*SIPp, error) {
	dir, err := os.MkdirTemp("", "sipp")
	if err != nil {
		return nil, err
	}
	s := &SIPp{dir: dir}
	if err := s.begin(program, transport, scenario, calls); err != nil {
		if strings.Contains(s.log(), "Address already in use") {
			err = fmt.Errorf("%w: %w", errPortTaken, err)
		}
		err = fmt.Errorf("%w\n%s", err, s.log())
		s.stop()
		return nil, err
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(s.log())
		}
		s.stop()
	})
	return s, nil
}

func (s *SIPp) begin(program, transport, scenario string, calls int) error {
	mode, ok := map[string]string{"udp": "u1", "tcp": "t1"}[transport]
	if !ok {
		return fmt.Errorf("transport %q", transport)
	}
	var err error
	if s.port, err = freePort(); err != nil {
		return err
	}
	control, err := freePort()
	if err != nil {
		return err
	}
	s.proc, err = startProcess(s.file("screen"), program, "-sf", filepath.Join("testdata", scenario+".xml"),
		"-i", host, "-p", strconv.Itoa(s.port), "-t", mode, "-m", strconv.Itoa(calls),
		"-ci", host, "-cp", strconv.Itoa(control), "-nostdin",
		"-timeout", strconv.Itoa(int(sippTimeout/time.Second)), "-timeout_error",
		"-default_behaviors", "all,-bye", // what is not expected ends the call as failed, and without a BYE
		"-trace_err", "-error_file", s.file("errors"), "-trace_msg", "-message_file", s.file("messages"))
	if err != nil {
		return err
	}
	return s.waitReady(transport)
}

// waitReady looks until the port is SIPp's. To ask it would not do: whatever it is sent is a call, and who answers may be
// another that took the port.
func (s *SIPp) waitReady(transport string) error {
	for end := time.Now().Add(startTimeout); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		select {
		case <-s.proc.ended:
			return fmt.Errorf("it ended: %v", s.proc.cmd.ProcessState)
		default:
		}
		if s.proc.has(transport, s.port) {
			return nil
		}
	}
	return fmt.Errorf("it does not listen for %v", startTimeout)
}

// Addr is host:port.
func (s *SIPp) Addr() string { return net.JoinHostPort(host, strconv.Itoa(s.port)) }

// Wait waits for the end of the scenario. Without error every call went as it is written, and every check in it held.
func (s *SIPp) Wait() error {
	select {
	case <-s.proc.ended:
		if !s.proc.cmd.ProcessState.Success() {
			return fmt.Errorf("sipp: %v\n%s", s.proc.cmd.ProcessState, s.read("errors"))
		}
		return nil
	case <-time.After(sippTimeout + stopTimeout):
		return errors.New("sipp: the scenario does not end")
	}
}

func (s *SIPp) stop() {
	if s.proc != nil {
		s.proc.stop()
	}
	os.RemoveAll(s.dir)
}

func (s *SIPp) file(name string) string { return filepath.Join(s.dir, name) }

// log is the messages that SIPp saw, and what it complains of.
func (s *SIPp) log() string {
	return "sipp's messages:\n" + s.read("messages") + "\nsipp's complaints:\n" + s.read("errors")
}

func (s *SIPp) read(name string) string {
	text, err := os.ReadFile(s.file(name))
	if err != nil {
		return "none"
	}
	return string(bytes.TrimSpace(text))
}
