package scenario

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// beside says which keys may stand in a step beside its verb.
var beside = map[Verb][]string{
	Answer:  {"status", "reason", "headers", "raw", "silent", "count"},
	Await:   {"with", "without", "within"},
	Silence: {"for"},
	Notify:  {"body", "content_type", "latin1", "event", "headers", "cseq", "dialog", "answered"},
	Send:    {},
	Command: {},
	Wait:    {},
	Lose:    {"count"},
	Delay:   {"for"},
	Repeat:  {"count"},
	User:    {},
	Expect:  {"after", "within"},
	Never:   {},
}

// setter puts the value of a key into its step; path is below the key. Its error
// says what the value may be, as a phrase that follows "must be".
type setter func(s *Step, path []string, value any) error

// verbs are the setters of the verbs themselves.
var verbs = map[Verb]setter{
	Answer: text(func(s *Step) *string { return &s.Text }), Await: text(func(s *Step) *string { return &s.Text }),
	Silence: text(func(s *Step) *string { return &s.Text }), Send: text(func(s *Step) *string { return &s.Text }),
	Command: text(func(s *Step) *string { return &s.Text }), User: text(func(s *Step) *string { return &s.Text }),
	Notify: anyText(func(s *Step) *string { return &s.Text }),
	Wait:   span(func(s *Step) *time.Duration { return &s.For }),
	Lose:   message, Delay: message, Repeat: message,
	Expect: field, Never: field,
}

// keys are the setters of what stands beside them.
var keys = map[string]setter{
	"status":       number(func(s *Step) *int { return &s.Status }, 200, 699),
	"reason":       text(func(s *Step) *string { return &s.Reason }),
	"headers":      lines(func(s *Step) *[]string { return &s.Headers }, ":"),
	"raw":          text(func(s *Step) *string { return &s.Raw }),
	"silent":       flag(func(s *Step) *bool { return &s.Silent }),
	"count":        number(func(s *Step) *int { return &s.Count }, 1, maxCount),
	"with":         holding,
	"without":      lines(func(s *Step) *[]string { return &s.Without }, ""),
	"within":       span(func(s *Step) *time.Duration { return &s.Within }),
	"after":        span(func(s *Step) *time.Duration { return &s.After }),
	"for":          span(func(s *Step) *time.Duration { return &s.For }),
	"body":         text(func(s *Step) *string { return &s.Body }),
	"content_type": anyText(func(s *Step) *string { return &s.ContentType }),
	"latin1":       flag(func(s *Step) *bool { return &s.Latin1 }),
	"event":        anyText(func(s *Step) *string { return &s.Event }),
	"cseq":         cseq,
	"dialog":       word(func(s *Step) *string { return &s.Dialog }, "earlier", "fork"),
	"answered":     number(func(s *Step) *int { return &s.Answered }, -1, 699),
}

// anyText takes a text, be it empty.
func anyText(to func(*Step) *string) setter {
	return func(s *Step, path []string, value any) error {
		text, ok := value.(string)
		if !ok || len(path) > 0 {
			return errors.New("a text in quotes")
		}
		*to(s) = text
		return nil
	}
}

func text(to func(*Step) *string) setter {
	return func(s *Step, path []string, value any) error {
		if value == "" {
			return errors.New("a text that is not empty")
		}
		return anyText(to)(s, path, value)
	}
}

func word(to func(*Step) *string, words ...string) setter {
	return func(s *Step, path []string, value any) error {
		if text, ok := value.(string); !ok || !slices.Contains(words, text) || len(path) > 0 {
			return fmt.Errorf("one of %q", words)
		}
		return anyText(to)(s, path, value)
	}
}

func flag(to func(*Step) *bool) setter {
	return func(s *Step, path []string, value any) error {
		on, ok := value.(bool)
		if !ok || len(path) > 0 {
			return errors.New("true or false")
		}
		*to(s) = on
		return nil
	}
}

func number(to func(*Step) *int, least, most int64) setter {
	return func(s *Step, path []string, value any) error {
		n, ok := value.(int64)
		if !ok || n < least || n > most || len(path) > 0 {
			return fmt.Errorf("a whole number from %d to %d", least, most)
		}
		*to(s) = int(n)
		return nil
	}
}

func cseq(s *Step, path []string, value any) error {
	n, ok := value.(int64)
	if !ok || n < 1 || n >= 1<<31 || len(path) > 0 {
		return errors.New("a whole number from 1 to 2147483647")
	}
	s.CSeq = uint32(n)
	return nil
}

func span(to func(*Step) *time.Duration) setter {
	return func(s *Step, path []string, value any) error {
		text, _ := value.(string)
		d, err := time.ParseDuration(text)
		if err != nil || d <= 0 || len(path) > 0 {
			return errors.New(`a time such as "500ms", "90s" or "1h30m"`)
		}
		*to(s) = d
		return nil
	}
}

// lines takes a list of texts that each have something in them.
func lines(to func(*Step) *[]string, with string) setter {
	return func(s *Step, path []string, value any) error {
		list, ok := value.([]any)
		wrong := errors.New("a list of header fields' names")
		if with != "" {
			wrong = errors.New(`a list of header fields, such as ["Retry-After: 60"]`)
		}
		if !ok || len(path) > 0 {
			return wrong
		}
		for _, item := range list {
			text, ok := item.(string)
			if !ok || !strings.Contains(text, with) || strings.ContainsAny(text, "\r\n") {
				return wrong
			}
			*to(s) = append(*to(s), text)
		}
		return nil
	}
}

// holding takes a table of header fields and the text that each holds.
func holding(s *Step, path []string, value any) error {
	text, ok := value.(string)
	if !ok || len(path) != 1 {
		return errors.New(`a table of header fields, such as {Expires = "0"}`)
	}
	if s.With == nil {
		s.With = make(map[string]string)
	}
	s.With[path[0]] = text
	return nil
}

// field takes one field of an event.
func field(s *Step, path []string, value any) error {
	if len(path) != 1 {
		return errors.New(`a table of an event's fields, such as {kind = "contact", own = true}`)
	}
	if s.Fields == nil {
		s.Fields = make(map[string]any)
	}
	s.Fields[path[0]] = value
	return nil
}

// message takes the name of a kind of message: a method, or an answer to one.
func message(s *Step, path []string, value any) error {
	text, _ := value.(string)
	method := strings.TrimPrefix(text, "answer to ")
	if method == "" || strings.Trim(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" || len(path) > 0 {
		return errors.New(`a method such as "NOTIFY", or "answer to REGISTER"`)
	}
	s.Text = text
	return nil
}
