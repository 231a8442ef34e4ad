package interop

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// RPCError is the server's refusal of an administrator's command.
type RPCError struct {
	Method  string
	Code    int
	Message string
}

func (e *RPCError) Error() string { return fmt.Sprintf("%s: %d %s", e.Method, e.Code, e.Message) }

// RPC runs a command of the administrator, as kamcmd would, and blocks until it is answered.
func (k *Kamailio) RPC(method string, params ...any) (json.RawMessage, error) {
	k.rpcMu.Lock()
	defer k.rpcMu.Unlock()
	k.rpcN++
	// A datagram socket is answered at the address that asked, so that has to have a name. A new one each time: an answer
	// that comes after its time cannot be taken for the next one.
	local := filepath.Join(k.dir, fmt.Sprintf("rpc%d", k.rpcN))
	c, err := net.DialUnix("unixgram", &net.UnixAddr{Name: local, Net: "unixgram"},
		&net.UnixAddr{Name: filepath.Join(k.dir, "rpc"), Net: "unixgram"})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", method, err)
	}
	defer os.Remove(local)
	defer c.Close()
	if params == nil {
		params = []any{}
	}
	ask, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": k.rpcN, "method": method, "params": params})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", method, err)
	}
	c.SetDeadline(time.Now().Add(rpcTimeout))
	if _, err := c.Write(ask); err != nil {
		return nil, fmt.Errorf("%s: %w", method, err)
	}
	buf := make([]byte, 1<<16)
	n, err := c.Read(buf)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", method, err)
	}
	var answer struct {
		Result json.RawMessage
		Error  *struct {
			Code    int
			Message string
		}
	}
	if err := json.Unmarshal(buf[:n], &answer); err != nil {
		return nil, fmt.Errorf("%s: read answer %q: %w", method, buf[:n], err)
	}
	if answer.Error != nil {
		return nil, &RPCError{Method: method, Code: answer.Error.Code, Message: answer.Error.Message}
	}
	return answer.Result, nil
}

// RemoveContact takes one contact off an AOR, as an administrator does. The contact is the URI as it was registered,
// to the letter.
func (k *Kamailio) RemoveContact(aor, contact string) error {
	_, err := k.RPC("ul.rm_contact", "location", account(aor), contact)
	return err
}

// RemoveAOR takes all contacts off an AOR.
func (k *Kamailio) RemoveAOR(aor string) error {
	_, err := k.RPC("ul.rm", "location", account(aor))
	return err
}

// AddContact puts a contact on an AOR without a REGISTER, under a Call-ID of the server's own: a second device, or, for
// a URI that is there already, a new expiry, which is how an administrator of Kamailio shortens a registration.
func (k *Kamailio) AddContact(aor, contact string, expires time.Duration) error {
	if expires < time.Second {
		return fmt.Errorf("ul.add: expires %v: Kamailio counts seconds, and takes 0 for never", expires)
	}
	// The zeros: path, flags, flags of the contact, and all methods but none named. q must be written as a fraction.
	_, err := k.RPC("ul.add", "location", account(aor), contact, int(expires/time.Second), json.RawMessage("1.0"),
		"0", 0, 0, 0)
	return err
}

// Contact is a row of the location table. Texts that are not set read "[not set]".
type Contact struct {
	Address   string
	Expires   Seconds
	CallID    string `json:"Call-ID"`
	CSeq      int
	UserAgent string `json:"User-Agent"`
	Received  string
	Path      string
	Instance  string
	RegID     int `json:"Reg-Id"`
	Socket    string
	Ruid      string
}

// Seconds until expiry. Kamailio gives a number, or a word such as "permanent" or "expired", which becomes 0.
type Seconds int

// UnmarshalJSON reads a number or a word.
func (s *Seconds) UnmarshalJSON(b []byte) error {
	n, err := strconv.Atoi(string(b))
	if err != nil {
		n = 0
	}
	*s = Seconds(n)
	return nil
}

// Contacts are the contacts of an AOR, none when the registrar does not know it.
func (k *Kamailio) Contacts(aor string) ([]Contact, error) {
	raw, err := k.RPC("ul.lookup", "location", account(aor))
	var refused *RPCError
	if errors.As(err, &refused) && strings.Contains(refused.Message, "not found") {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var record struct {
		Contacts []struct{ Contact Contact }
	}
	if err := json.Unmarshal(raw, &record); err != nil {
		return nil, fmt.Errorf("ul.lookup: read %s: %w", raw, err)
	}
	var list []Contact
	for _, c := range record.Contacts {
		list = append(list, c.Contact)
	}
	return list, nil
}

// account is the AOR as the location table keys it: no scheme, no port, no parameters.
func account(aor string) string {
	for _, scheme := range []string{"sip:", "sips:"} {
		aor = strings.TrimPrefix(aor, scheme)
	}
	aor, _, _ = strings.Cut(aor, ";")
	user, domain, ok := strings.Cut(aor, "@")
	if !ok {
		return aor
	}
	domain, _, _ = strings.Cut(domain, ":")
	return user + "@" + domain
}
