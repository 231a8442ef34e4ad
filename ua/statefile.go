package ua

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"time"
)

// remembered is what an account keeps from run to run, so that a run that ended
// without a goodbye knows its old binding again.
type remembered struct {
	PID       int       `json:"pid"` // who holds the file
	Instance  string    `json:"instance_id"`
	CallID    string    `json:"call_id,omitempty"`
	Contact   string    `json:"contact,omitempty"`
	ExpiresAt time.Time `json:"expires_at,omitzero"` // of the last registration
	SQN       uint64    `json:"aka_sqn,omitempty"`   // highest sequence number that was accepted (RFC 3310)

	Flows []rememberedFlow `json:"flows,omitempty"` // beside the first one's
}

// rememberedFlow is what is kept of the binding over another flow than the first.
type rememberedFlow struct {
	RegID     uint32    `json:"reg_id"`
	CallID    string    `json:"call_id"`
	Contact   string    `json:"contact,omitempty"`
	ExpiresAt time.Time `json:"expires_at,omitzero"`
}

// earlier is what a run before this one registered under a reg-id.
func (r remembered) earlier(regID, first uint32) (callID, contact string) {
	if regID == first {
		return r.CallID, r.Contact
	}
	for _, f := range r.Flows {
		if f.RegID == regID {
			return f.CallID, f.Contact
		}
	}
	return "", ""
}

// stateFile is the file of one account, locked while it is open. It is changed
// in place: a rename would leave the lock on the file that was.
type stateFile struct {
	file *os.File
	held remembered // what is in it
}

// errHeld: another process has the account; its pid is in the text.
var errHeld = errors.New("another process has this account")

// openState opens and locks the file of an account. What it held is given even
// where it is damaged: then that is nothing.
func openState(dir, name, aor string) (*stateFile, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open state: %w", err)
	}
	file, err := os.OpenFile(filepath.Join(dir, stateName(name, aor)), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open state: %w", err)
	}
	var held remembered
	read := func() {
		held = remembered{}
		file.Seek(0, io.SeekStart)
		json.NewDecoder(file).Decode(&held)
	}
	read() // for the pid of the one who has it
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		file.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w: pid %d", errHeld, held.PID)
		}
		return nil, fmt.Errorf("lock state: %w", err)
	}
	read() // what the one before us wrote last
	if !strings.HasPrefix(held.Instance, "urn:uuid:") {
		held.Instance = ""
	}
	return &stateFile{file, held}, nil
}

// stateName is readable where the account's name is, and unique in any case.
func stateName(name, aor string) string {
	plain := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(".-_@", r) {
			return r
		}
		return '_'
	}, name)
	plain = strings.TrimLeft(plain[:min(len(plain), 40)], ".")
	sum := sha256.Sum256([]byte(name + "\n" + aor))
	return fmt.Sprintf("%s-%x.json", plain, sum[:6])
}

// save writes what is to be kept. A nil file keeps nothing.
func (s *stateFile) save(r remembered) error {
	if s == nil {
		return nil
	}
	r.PID = os.Getpid()
	if reflect.DeepEqual(r, s.held) {
		return nil
	}
	s.held = r
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	text = append(text, '\n')
	if _, err := s.file.WriteAt(text, 0); err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	return s.file.Truncate(int64(len(text)))
}

func (s *stateFile) close() {
	if s != nil {
		s.file.Close() // frees the lock
	}
}
