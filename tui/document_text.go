package tui

import (
	"bytes"
	"strings"

	"regwatch/reginfo/finding"
)

// sentLines is a document as it was sent, every control character visible, the
// ends of lines too where they are more than a line feed. Lines that something is
// wrong with have a mark.
func sentLines(raw []byte, found []finding.Finding, ascii bool) []string {
	wrong := map[int]bool{}
	for _, f := range found {
		wrong[f.Line] = true
	}
	var lines []string
	for line := range bytes.Lines(raw) {
		mark := " "
		if wrong[len(lines)+1] {
			mark = "!"
		}
		lines = append(lines, mark+visibleAll(string(bytes.TrimSuffix(line, []byte("\n"))), ascii))
	}
	return lines
}

// deepest is how far elements are moved in: a document may nest them for ever.
const deepest = 12

// indentedLines is a document with a line for each element and each text, moved
// in by how deep it stands. It reads tags as they come and judges nothing, since
// what is sent need not be XML.
func indentedLines(raw []byte, ascii bool) []string {
	var (
		lines []string
		open  bool // the last line is a start tag, perhaps with its text
		depth int
	)
	put := func(depth int, part []byte) {
		text := string(bytes.Join(bytes.FieldsFunc(part, func(r rune) bool { return r == '\r' || r == '\n' || r == '\t' }), []byte(" ")))
		lines = append(lines, strings.Repeat("  ", min(max(depth, 0), deepest))+visibleAll(text, ascii))
	}
	for len(raw) > 0 {
		n := markupLength(raw)
		part := raw[:n]
		raw = raw[n:]
		switch {
		case part[0] != '<':
			if part = bytes.TrimSpace(part); len(part) == 0 {
				continue
			}
			if open {
				lines[len(lines)-1] += visibleAll(string(part), ascii)
				continue
			}
			put(depth, part)
		case bytes.HasPrefix(part, []byte("</")):
			depth--
			if open {
				lines[len(lines)-1] += visibleAll(string(part), ascii)
			} else {
				put(depth, part)
			}
			open = false
		case bytes.HasPrefix(part, []byte("<?")), bytes.HasPrefix(part, []byte("<!")), bytes.HasSuffix(part, []byte("/>")):
			put(depth, part)
			open = false
		default:
			put(depth, part)
			open = true
			depth++
		}
	}
	return lines
}

// markupLength is how long the tag, comment or text is that raw begins with.
func markupLength(raw []byte) int {
	until := func(end string) int {
		if i := bytes.Index(raw, []byte(end)); i >= 0 {
			return i + len(end)
		}
		return len(raw)
	}
	switch {
	case raw[0] != '<':
		if i := bytes.IndexByte(raw, '<'); i > 0 {
			return i
		}
		return len(raw)
	case bytes.HasPrefix(raw, []byte("<!--")):
		return until("-->")
	case bytes.HasPrefix(raw, []byte("<![CDATA[")):
		return until("]]>")
	}
	quote := byte(0)
	for i, c := range raw {
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '>':
			return i + 1
		case c == '<' && i > 0:
			return i // the tag before was never ended
		}
	}
	return len(raw)
}
