// Svg draws what a terminal shows as a picture: it reads a screen with its colours,
// as "tmux capture-pane -e -p" prints it, and writes an SVG. The pictures of the
// documentation are made so, from the program itself (make.sh).
//
// It imports the standard library only, and nothing of the project.
package main

import (
	"bufio"
	"encoding/xml"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Of a character cell, in pixels.
const (
	cellWidth  = 8.4
	cellHeight = 18
	margin     = 12
	baseline   = 13.5
)

// palette is the 16 colours of a terminal, with the colours of what has none.
type palette struct {
	paper, ink string
	colours    [16]string
}

var palettes = map[string]palette{
	"dark": {"#14171c", "#d6d9de", [16]string{
		"#2b3038", "#f0716b", "#8ecf6a", "#e3b95c", "#6fa8f0", "#c792ea", "#5fc8c8", "#d6d9de",
		"#6b7380", "#ff938d", "#a9e588", "#f5d07f", "#93c0ff", "#dcb3f7", "#86e0e0", "#ffffff",
	}},
	"light": {"#fbfbf8", "#24292f", [16]string{
		"#24292f", "#b3261e", "#2f7d1f", "#8a6100", "#1f5fb8", "#8030a8", "#0f7878", "#8b9096",
		"#57606a", "#d03a30", "#3f9a2c", "#a87800", "#3376d0", "#9a4cc0", "#178f8f", "#fbfbf8",
	}},
}

// pen is how a character looks: the colours are indexes of the palette, -1 for the
// one that is not set.
type pen struct {
	ink, paper               int
	bold, dim, turned, under bool
}

var plain = pen{ink: -1, paper: -1}

// set takes the parameters of one SGR sequence.
func (p *pen) set(params string) {
	codes := strings.FieldsFunc(params, func(r rune) bool { return r == ';' || r == ':' })
	if len(codes) == 0 {
		*p = plain
	}
	for i := 0; i < len(codes); i++ {
		n, _ := strconv.Atoi(codes[i])
		switch {
		case n == 0:
			*p = plain
		case n == 1:
			p.bold = true
		case n == 2:
			p.dim = true
		case n == 4:
			p.under = true
		case n == 7:
			p.turned = true
		case n == 22:
			p.bold, p.dim = false, false
		case n == 24:
			p.under = false
		case n == 27:
			p.turned = false
		case n >= 30 && n <= 37:
			p.ink = n - 30
		case n == 39:
			p.ink = -1
		case n >= 40 && n <= 47:
			p.paper = n - 40
		case n == 49:
			p.paper = -1
		case n >= 90 && n <= 97:
			p.ink = n - 90 + 8
		case n >= 100 && n <= 107:
			p.paper = n - 100 + 8
		case (n == 38 || n == 48) && i+2 < len(codes) && codes[i+1] == "5":
			if c, _ := strconv.Atoi(codes[i+2]); c < 16 && n == 38 {
				p.ink = c
			} else if c < 16 {
				p.paper = c
			}
			i += 2
		}
	}
}

func (p pen) colours(of palette) (ink, paper string) {
	ink, paper = of.ink, of.paper
	if p.ink >= 0 {
		ink = of.colours[p.ink]
	}
	if p.paper >= 0 {
		paper = of.colours[p.paper]
	}
	if p.turned {
		return paper, ink
	}
	return ink, paper
}

// run is characters beside each other that look alike.
type run struct {
	pen
	column int
	text   string
}

// runs takes a line apart; sequences other than SGR are left out. A pen goes on
// into the next line.
func runs(line string, p *pen) (out []run, columns int) {
	for line != "" {
		if rest, found := strings.CutPrefix(line, "\x1b["); found {
			end := strings.IndexFunc(rest, func(r rune) bool { return r >= 0x40 && r <= 0x7e })
			if end < 0 {
				break
			}
			if rest[end] == 'm' {
				p.set(rest[:end])
			}
			line = rest[end+1:]
			continue
		}
		r, n := utf8.DecodeRuneInString(line)
		line = line[n:]
		if r < 0x20 {
			continue
		}
		if last := len(out) - 1; last < 0 || out[last].pen != *p {
			out = append(out, run{pen: *p, column: columns})
		}
		out[len(out)-1].text += string(r)
		columns++
	}
	return out, columns
}

func draw(out io.Writer, lines []string, title string, of palette) error {
	w := bufio.NewWriter(out)
	var all [][]run
	width, p := 0, plain
	for _, line := range lines {
		row, columns := runs(line, &p)
		all = append(all, row)
		width = max(width, columns)
	}
	fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 %.0f %d" font-family="ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace" font-size="14">`+"\n",
		float64(width)*cellWidth+2*margin, len(lines)*cellHeight+2*margin)
	fmt.Fprintf(w, "<title>%s</title>\n<rect width=\"100%%\" height=\"100%%\" rx=\"8\" fill=\"%s\"/>\n", escaped(title), of.paper)
	for i, row := range all {
		y := margin + i*cellHeight
		for _, r := range row {
			ink, paper := r.colours(of)
			x, n := margin+float64(r.column)*cellWidth, utf8.RuneCountInString(r.text)
			if paper != of.paper {
				fmt.Fprintf(w, `<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s"/>`+"\n", x, y, float64(n)*cellWidth, cellHeight, paper)
			}
			text := strings.TrimRight(r.text, " ")
			lead := n - utf8.RuneCountInString(strings.TrimLeft(r.text, " "))
			if text == "" {
				continue
			}
			text = strings.TrimLeft(text, " ")
			more := ""
			if r.bold {
				more += ` font-weight="bold"`
			}
			if r.dim {
				more += ` opacity="0.6"`
			}
			if r.under {
				more += ` text-decoration="underline"`
			}
			// The width is given, so that the columns stand whatever the font.
			fmt.Fprintf(w, `<text x="%.1f" y="%.1f" fill="%s"%s textLength="%.1f" lengthAdjust="spacingAndGlyphs" xml:space="preserve">%s</text>`+"\n",
				x+float64(lead)*cellWidth, float64(y)+baseline, ink, more, float64(utf8.RuneCountInString(text))*cellWidth, escaped(text))
		}
	}
	fmt.Fprintln(w, "</svg>")
	return w.Flush()
}

func escaped(s string) string {
	var out strings.Builder
	xml.EscapeText(&out, []byte(s)) // a Builder never fails
	return out.String()
}

func main() {
	title := flag.String("title", "regwatch", "what the picture shows, for who cannot see it")
	theme := flag.String("theme", "dark", "dark or light")
	flag.Parse()
	of, known := palettes[*theme]
	if !known {
		fmt.Fprintf(os.Stderr, "svg: -theme %q: must be dark or light\n", *theme)
		os.Exit(2)
	}
	text, err := io.ReadAll(os.Stdin)
	if err == nil {
		err = draw(os.Stdout, strings.Split(strings.TrimRight(string(text), "\n"), "\n"), *title, of)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "svg:", err)
		os.Exit(1)
	}
}
