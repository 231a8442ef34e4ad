package main

import (
	"path/filepath"
	"slices"
	"strings"
)

// synopses are the words of each command as the help has them, by its name.
func synopses() map[string][]string {
	all := map[string][]string{"exit": nil}
	for line := range strings.Lines(labHelp) {
		if synopsis, _, found := strings.Cut(line, "  "); found {
			words := strings.Fields(synopsis)
			all[words[0]] = words[1:]
		}
	}
	return all
}

func commandNames() []string {
	var names []string
	for name := range synopses() {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// tab completes the word before the cursor; of several it shows them.
func (c *console) tab(line string, pos int, key rune) (string, int, bool) {
	if key != '\t' || pos != len(line) {
		return "", 0, false
	}
	words := c.complete(line)
	if len(words) == 0 {
		return line, pos, true
	}
	before := line[:strings.LastIndex(line, " ")+1]
	common := words[0]
	for _, word := range words[1:] {
		for !strings.HasPrefix(word, common) {
			common = common[:len(common)-1]
		}
	}
	switch {
	case len(words) == 1:
		common += " "
	case before+common == line:
		c.out.Write([]byte(strings.Join(words, "  ") + "\n"))
	}
	return before + common, len(before + common), true
}

// complete lists what the last word of the line can be.
func (c *console) complete(line string) []string {
	words := strings.Split(line, " ")
	last := words[len(words)-1]
	words = strings.Fields(strings.Join(words[:len(words)-1], " "))
	var could []string
	if len(words) == 0 {
		could = commandNames()
	} else if synopsis := synopses()[words[0]]; len(words) <= len(synopsis) {
		switch strings.Trim(synopsis[len(words)-1], "[]") {
		case "USER":
			could = c.users()
		case "CONTACT":
			for _, b := range c.r.Bindings(words[1]) {
				could = append(could, b.URI)
				if b.Instance != "" {
					could = append(could, b.Instance)
				}
			}
		case "FILE":
			could, _ = filepath.Glob(last + "*") // a pattern that is none completes nothing
		}
	}
	could = slices.DeleteFunc(could, func(word string) bool { return !strings.HasPrefix(word, last) || strings.Contains(word, " ") })
	slices.Sort(could)
	return slices.Compact(could)
}
