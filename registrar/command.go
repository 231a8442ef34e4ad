package registrar

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"regwatch/reginfo"
)

// Help lists the commands that Command understands, one a line.
const Help = `list [USER]                         what is bound
deactivate USER [CONTACT]           remove; the device shall register again at once
probation USER [CONTACT] SECONDS    remove; the device shall register again later
reject USER                         remove all, and refuse to register until allowed
allow USER                          take a rejection back
shorten USER [CONTACT] SECONDS      bring the end nearer
create USER URI [SECONDS]           bind a contact without a REGISTER
expire USER [CONTACT]               let it lapse now
remove USER [CONTACT]               remove without telling anybody
help                                this list
USER is a user name or an address-of-record; CONTACT is a URI, a part of one, or an instance id.`

// usage is how many words may follow each command, and whether the last of them
// is a number of seconds.
type usage struct {
	least, most int
	seconds     bool // required when least counts it, else optional
}

var commands = map[string]usage{
	"list": {0, 1, false}, "help": {0, 0, false},
	"deactivate": {1, 2, false}, "expire": {1, 2, false}, "remove": {1, 2, false},
	"probation": {2, 3, true}, "shorten": {2, 3, true},
	"reject": {1, 1, false}, "allow": {1, 1, false},
	"create": {2, 3, false},
}

// Command does what a line of text asks for and says in a sentence what was
// done, and to how many subscribers it was told. An empty line does nothing.
func (r *Registrar) Command(line string) (string, error) {
	words := strings.Fields(line)
	if len(words) == 0 {
		return "", nil
	}
	name, words := strings.ToLower(words[0]), words[1:]
	use, known := commands[name]
	if !known {
		return "", fmt.Errorf("%q is no command: try help", name)
	}
	if len(words) < use.least || len(words) > use.most {
		return "", fmt.Errorf("%s: %s", name, usageOf(name))
	}
	var span time.Duration
	if use.seconds {
		n, err := strconv.ParseUint(words[len(words)-1], 10, 31)
		if err != nil {
			return "", fmt.Errorf("%s: %q is no number of seconds: %s", name, words[len(words)-1], usageOf(name))
		}
		span, words = time.Duration(n)*time.Second, words[:len(words)-1]
	}
	user, contact := "", ""
	if len(words) > 0 {
		user = words[0]
	}
	if len(words) > 1 {
		contact = words[1]
	}
	switch name {
	case "help":
		return Help, nil
	case "list":
		return r.list(user)
	case "allow":
		if err := r.Allow(user); err != nil {
			return "", err
		}
		return user + " may register again.", nil
	case "create":
		return r.createCommand(user, contact, words)
	}
	done, err := r.act(name, user, contact, span)
	if err != nil {
		return "", err
	}
	return done, nil
}

// act does one of the actions on contacts that are there.
func (r *Registrar) act(name, user, contact string, span time.Duration) (string, error) {
	var done outcome
	var err error
	var verb string
	switch name {
	case "deactivate":
		verb = "Deactivated"
		done, err = r.kick(user, contact, change{event: reginfo.Deactivated})
	case "probation":
		verb = fmt.Sprintf("Put on probation for %d s", span/time.Second)
		done, err = r.kick(user, contact, change{event: reginfo.Probation, retryAfter: span})
	case "expire":
		verb = "Let expire"
		done, err = r.kick(user, contact, change{event: reginfo.Expired})
	case "reject":
		verb = "Rejected " + user + " and removed"
		done, err = r.reject(user)
	case "shorten":
		verb = fmt.Sprintf("Shortened to %d s", span/time.Second)
		done, err = r.shortenAll(user, contact, span)
	case "remove":
		verb = "Removed silently"
		done, err = r.remove(user, contact)
	}
	if err != nil {
		return "", err
	}
	return done.sentence(verb), nil
}

func (r *Registrar) createCommand(user, uri string, words []string) (string, error) {
	span := time.Duration(defaultExpires) * time.Second
	if len(words) == 3 {
		n, err := strconv.ParseUint(words[2], 10, 31)
		if err != nil || n == 0 {
			return "", fmt.Errorf("create: %q is no number of seconds: %s", words[2], usageOf("create"))
		}
		span = time.Duration(n) * time.Second
	}
	done, err := r.create(user, uri, span)
	if err != nil {
		return "", err
	}
	return done.sentence("Created"), nil
}

// usageOf is the line of Help about a command.
func usageOf(name string) string {
	for line := range strings.SplitSeq(Help, "\n") {
		if synopsis, _, _ := strings.Cut(line, "  "); synopsis == name || strings.HasPrefix(synopsis, name+" ") {
			return "write " + synopsis
		}
	}
	return "try help"
}

func (o outcome) sentence(verb string) string {
	what := "no contact"
	switch {
	case len(o.contacts) == 1:
		what = o.contacts[0]
	case len(o.contacts) > 1:
		what = fmt.Sprintf("%d contacts (%s)", len(o.contacts), strings.Join(o.contacts, ", "))
	}
	told := "nobody was told"
	switch {
	case o.told == 1:
		told = "1 subscriber was told"
	case o.told > 1:
		told = fmt.Sprintf("%d subscribers were told", o.told)
	}
	return fmt.Sprintf("%s %s; %s.", verb, what, told)
}

// list writes a line a binding.
func (r *Registrar) list(user string) (string, error) {
	bindings := r.Bindings(user)
	if len(bindings) == 0 {
		return "Nothing is bound.", nil
	}
	var out strings.Builder
	now := time.Now()
	for i, b := range bindings {
		if i > 0 {
			out.WriteByte('\n')
		}
		left := max(b.Expires.Sub(now), 0).Round(time.Second) / time.Second
		fmt.Fprintf(&out, "%s  %s  %s, %d s left", b.AOR, b.URI, b.Event, left)
		if b.Instance != "" {
			fmt.Fprintf(&out, "  %s", b.Instance)
		}
		if b.RegID != 0 {
			fmt.Fprintf(&out, "  reg-id %d", b.RegID)
		}
	}
	return out.String(), nil
}
