package reginfo

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"

	"regwatch/reginfo/finding"
)

// toUTF8 returns the document in UTF-8 without a byte order mark, and what was
// wrong with its encoding. Only UTF-8 is allowed (RFC 3680 5.1).
func toUTF8(body []byte) ([]byte, []finding.Finding) {
	odd := func(detail string) []finding.Finding {
		return []finding.Finding{{Code: finding.Charset, Detail: detail, Line: 1}}
	}
	switch {
	case bytes.HasPrefix(body, []byte("\xef\xbb\xbf")):
		body = body[3:]
	case bytes.HasPrefix(body, []byte("\xff\xfe")), bytes.HasPrefix(body, []byte("<\x00")):
		return fromUTF16(body, 0, 1), odd("the document is in UTF-16")
	case bytes.HasPrefix(body, []byte("\xfe\xff")), bytes.HasPrefix(body, []byte("\x00<")):
		return fromUTF16(body, 1, 0), odd("the document is in UTF-16")
	}

	name := declaredCharset(body)
	switch {
	case is(name, "iso-8859-1"), is(name, "latin1"), is(name, "iso_8859-1"):
		return fromLatin1(body), odd("the document declares ISO-8859-1")
	case !utf8.Valid(body):
		return mendUTF8(body), odd("bytes that are not UTF-8 are read as ISO-8859-1")
	case len(name) == 0, is(name, "utf-8"), is(name, "utf8"), is(name, "us-ascii"), is(name, "ascii"):
		return body, nil
	}
	return body, odd("the document declares " + show(name) + ", read as UTF-8")
}

func is(name []byte, want string) bool { return bytes.EqualFold(name, []byte(want)) }

// declaredCharset returns the encoding of the XML declaration, or nil.
func declaredCharset(body []byte) []byte {
	body = trimSpace(body[:min(len(body), 512)])
	if !bytes.HasPrefix(body, []byte("<?xml")) {
		return nil
	}
	end := bytes.Index(body, []byte("?>"))
	if end < 0 {
		return nil
	}
	_, after, ok := bytes.Cut(body[:end], []byte("encoding"))
	if !ok {
		return nil
	}
	after = trimSpace(after)
	if len(after) == 0 || after[0] != '=' {
		return nil
	}
	after = trimSpace(after[1:])
	if len(after) == 0 || after[0] != '"' && after[0] != '\'' {
		return nil
	}
	name, _, ok := bytes.Cut(after[1:], after[:1])
	if !ok {
		return nil
	}
	return name
}

// fromLatin1 turns ISO-8859-1 into UTF-8.
func fromLatin1(body []byte) []byte {
	out := make([]byte, 0, len(body)+len(body)/8)
	for _, c := range body {
		out = utf8.AppendRune(out, rune(c))
	}
	return out
}

// mendUTF8 keeps what is UTF-8 and reads every other byte as ISO-8859-1: most
// likely an old name among ASCII.
func mendUTF8(body []byte) []byte {
	out := make([]byte, 0, len(body)+len(body)/8)
	for len(body) > 0 {
		r, n := utf8.DecodeRune(body)
		if r == utf8.RuneError && n == 1 {
			r = rune(body[0])
		}
		out = utf8.AppendRune(out, r)
		body = body[n:]
	}
	return out
}

// fromUTF16 turns UTF-16 into UTF-8; lo and hi say which byte of a pair is the
// lower one.
func fromUTF16(body []byte, lo, hi int) []byte {
	units := make([]uint16, 0, len(body)/2)
	for i := 0; i+1 < len(body); i += 2 {
		units = append(units, uint16(body[i+lo])|uint16(body[i+hi])<<8)
	}
	if len(units) > 0 && units[0] == 0xfeff {
		units = units[1:]
	}
	return []byte(string(utf16.Decode(units)))
}
