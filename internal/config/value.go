package config

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"regwatch/ua"
)

const (
	maxInt32  = math.MaxInt32
	maxUint32 = math.MaxUint32
)

// setter puts a value where it belongs. Its error says what the value may be,
// as a phrase that follows "must be".
type setter func(p place, value any) error

// mustBe ends a setter: what was wanted is all that the user needs to read.
func mustBe(format string, args ...any) error { return fmt.Errorf(format, args...) }

func text(to func(place) *string) setter {
	return func(p place, value any) error {
		s, ok := value.(string)
		if !ok {
			return mustBe("a text in quotes")
		}
		*to(p) = s
		return nil
	}
}

// filled wants a text that is not empty.
func filled(set setter) setter {
	return func(p place, value any) error {
		if value == "" {
			return mustBe("a text that is not empty")
		}
		return set(p, value)
	}
}

func word(to func(place) *string, words ...string) setter {
	return func(p place, value any) error {
		s, _ := value.(string)
		if !slices.Contains(words, s) {
			return mustBe("%s", either(words))
		}
		*to(p) = s
		return nil
	}
}

// wordOr is one of words, or the default, which stands for "".
func wordOr(byDefault string, to func(place) *string, words ...string) setter {
	return func(p place, value any) error {
		err := word(to, append([]string{byDefault}, words...)...)(p, value)
		if err == nil && value == byDefault {
			*to(p) = ""
		}
		return err
	}
}

// choice is between two words, the second of which says yes.
func choice(to func(place) *bool, no, yes string) setter {
	return func(p place, value any) error {
		var s string
		err := word(func(place) *string { return &s }, no, yes)(p, value)
		*to(p) = s == yes
		return err
	}
}

func flag(to func(place) *bool) setter {
	return func(p place, value any) error {
		b, ok := value.(bool)
		if !ok {
			return mustBe("true or false")
		}
		*to(p) = b
		return nil
	}
}

// not is a flag whose field says the opposite, so that its zero value is the
// default.
func not(to func(place) *bool) setter {
	return func(p place, value any) error {
		err := flag(to)(p, value)
		if err == nil {
			*to(p) = !*to(p)
		}
		return err
	}
}

func number(to func(place) *uint32, least, most int64) setter {
	return func(p place, value any) error {
		n, ok := value.(int64)
		if !ok || n < least || n > most {
			return mustBe("a whole number from %d to %d", least, most)
		}
		*to(p) = uint32(n)
		return nil
	}
}

// hex wants hexadecimal digits, as many as one of lengths says.
func hex(to func(place) *string, lengths ...int) setter {
	return func(p place, value any) error {
		s, _ := value.(string)
		if !slices.Contains(lengths, len(s)) || strings.Trim(strings.ToLower(s), "0123456789abcdef") != "" {
			var counts []string
			for _, n := range lengths {
				counts = append(counts, strconv.Itoa(n))
			}
			return mustBe("%s hexadecimal digits in quotes", strings.Join(counts, " or "))
		}
		*to(p) = s
		return nil
	}
}

// texts reads one text or a list of them.
func texts(value any) ([]string, bool) {
	if s, ok := value.(string); ok {
		return []string{s}, true
	}
	list, ok := value.([]any)
	if !ok {
		return nil, false
	}
	all := make([]string, 0, len(list))
	for _, item := range list {
		s, ok := item.(string)
		if !ok {
			return nil, false
		}
		all = append(all, s)
	}
	return all, true
}

func either(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = strconv.Quote(w)
	}
	last := len(quoted) - 1
	return strings.Join(quoted[:last], ", ") + " or " + quoted[last]
}

func password(p place, value any) error {
	s, ok := value.(string)
	if !ok {
		return mustBe("a text in quotes")
	}
	p.account.password = &s
	return nil
}

func proxies(p place, value any) error {
	uris, ok := texts(value)
	if !ok || len(uris) == 0 || len(uris) > 4 {
		return mustBe("a URI such as \"sip:proxy.example.com;transport=tcp\", or a list of up to four")
	}
	p.account.OutboundProxy = uris
	return nil
}

func keepalive(p place, value any) error {
	switch v := value.(type) {
	case string:
		if v == "auto" {
			return nil
		}
		if way := ua.KeepAlive(v); way == ua.KeepOff || way == ua.KeepCRLF || way == ua.KeepSTUN {
			p.account.KeepAlive = way
			return nil
		}
	case int64:
		if v >= 1 && v <= 86400 {
			p.account.KeepAliveEvery = uint32(v)
			return nil
		}
	}
	return mustBe(`"auto", "off", "crlf", "stun", or seconds from 1 to 86400`)
}

func watch(p place, value any) error {
	s, _ := value.(string)
	switch s {
	case "auto", "reg", "poll", "off":
	default:
		return mustBe(`"auto", "reg", "poll" or "off"`)
	}
	p.account.Watch = ua.WatchMode(s)
	return nil
}

func pollInterval(p place, value any) error {
	var n uint32
	err := number(func(place) *uint32 { return &n }, 1, 86400)(p, value)
	p.account.PollInterval = time.Duration(n) * time.Second
	return err
}

func settle(p place, value any) error {
	var s string
	err := word(func(place) *string { return &s }, "ask", "auto", "off")(p, value)
	p.account.Settle = ua.Settle(s)
	return err
}

// aka is the digest algorithm of RFC 3310.
const aka = "AKAv1-MD5"

// algorithms are the digest algorithms by RFC 7616 and RFC 3310 names.
var algorithms = []string{"MD5", "MD5-sess", "SHA-256", "SHA-256-sess", "SHA-512-256", "SHA-512-256-sess", aka}

func digest(p place, value any) error {
	names, ok := texts(value)
	if !ok || len(names) == 0 {
		return mustBe("a list of %s", either(algorithms))
	}
	for _, name := range names {
		i := slices.IndexFunc(algorithms, func(a string) bool { return strings.EqualFold(a, name) })
		if i < 0 {
			return mustBe("a list of %s", either(algorithms))
		}
		p.account.Digest = append(p.account.Digest, algorithms[i])
	}
	return nil
}

var qSyntax = regexp.MustCompile(`^(0(\.[0-9]{0,3})?|1(\.0{0,3})?)$`) // RFC 3261 25.1, qvalue

func qvalue(p place, value any) error {
	s := fmt.Sprint(value)
	if !qSyntax.MatchString(s) {
		return mustBe("a number from 0 to 1 with at most three decimals")
	}
	p.account.Q = s
	return nil
}

func contactParams(p place, value any) error {
	s, ok := value.(string)
	if !ok {
		return mustBe(`parameters in quotes, such as "audio;video"`)
	}
	p.account.ContactExtra = strings.TrimLeft(s, "; ")
	return nil
}

func headers(p place, value any) error {
	lines, ok := texts(value)
	if !ok {
		return mustBe(`a list of header fields, such as ["X-Test: 1"]`)
	}
	p.account.Headers = lines
	return nil
}

func policy(kick ua.Kick) setter {
	return func(p place, value any) error {
		s, _ := value.(string)
		switch policy := ua.Policy(s); policy {
		case ua.Ask, ua.Auto, ua.Never:
			if p.account.On == nil {
				p.account.On = map[ua.Kick]ua.Policy{}
			}
			p.account.On[kick] = policy
			return nil
		}
		return mustBe(`"ask", "auto" or "never"`)
	}
}

// sipURI checks the shape of a URI of an idle key; those in use are checked by
// the agent's own parser.
func watchURI(p place, value any) error {
	s, _ := value.(string)
	scheme, rest, _ := strings.Cut(s, ":")
	if !strings.EqualFold(scheme, "sip") && !strings.EqualFold(scheme, "sips") && !strings.EqualFold(scheme, "tel") || rest == "" || strings.ContainsAny(s, " <>\"") {
		return mustBe("a URI such as \"sip:you@example.com\"")
	}
	p.account.WatchURI = s
	return nil
}

func journalFile(p place, value any) error {
	s, ok := value.(string)
	if !ok {
		return mustBe("a file name in quotes, or \"\" for no journal")
	}
	p.config.Journal.File = s
	p.config.Journal.Off = s == ""
	return nil
}

func listenAddress(p place, value any) error {
	s, _ := value.(string)
	at, err := netip.ParseAddrPort(s)
	if err != nil || !at.Addr().IsLoopback() {
		return mustBe("an address of the loopback and a port, such as \"127.0.0.1:9100\"")
	}
	p.config.Metrics = at
	return nil
}

var sizeSyntax = regexp.MustCompile(`^([0-9]+) ?([kMG]?)B$`)

// size reads bytes, as a number or with a decimal unit.
func size(to func(place) *int64) setter {
	wrong := errors.New(`bytes as a number, or a text such as "10MB", from 64kB to 1GB`)
	return func(p place, value any) error {
		n, ok := value.(int64)
		if s, isText := value.(string); isText {
			parts := sizeSyntax.FindStringSubmatch(s)
			if parts == nil {
				return wrong
			}
			n, _ = strconv.ParseInt(parts[1], 10, 32) // too many digits give the largest, which is refused
			n *= map[string]int64{"": 1, "k": 1e3, "M": 1e6, "G": 1e9}[parts[2]]
			ok = true
		}
		if !ok || n < 64e3 || n > 1e9 {
			return wrong
		}
		*to(p) = n
		return nil
	}
}
