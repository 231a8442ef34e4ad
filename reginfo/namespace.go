package reginfo

import (
	"bytes"

	"regwatch/reginfo/finding"
)

// The namespaces of RFC 3680 8.3 and RFC 5628 10.
const (
	nsReginfo = "urn:ietf:params:xml:ns:reginfo"
	nsGRUU    = "urn:ietf:params:xml:ns:gruuinfo"
)

// space is what a namespace is to us.
type space uint8

const (
	spaceNone       space = iota // no namespace
	spaceReginfo                 // RFC 3680's, or the one its root came in
	spaceGRUU                    // RFC 5628's
	spaceForeign                 // any other
	spaceUndeclared              // a prefix without a declaration
)

// declaration is one xmlns attribute.
type declaration struct {
	prefix []byte
	space  space
}

// namespaces are the declarations in force, the innermost last.
type namespaces struct {
	declared []declaration
	// ours is the prefix of a root whose prefix nobody declared.
	ours []byte
}

// lookup resolves a prefix; i is the place of its declaration or -1.
func (n *namespaces) lookup(prefix []byte) (sp space, i int) {
	for i := len(n.declared) - 1; i >= 0; i-- {
		if bytes.Equal(n.declared[i].prefix, prefix) {
			return n.declared[i].space, i
		}
	}
	switch {
	case len(prefix) == 0:
		return spaceNone, -1
	case n.ours != nil && bytes.Equal(prefix, n.ours):
		return spaceReginfo, -1
	case string(prefix) == "xml":
		return spaceForeign, -1
	}
	return spaceUndeclared, -1
}

// declare takes in the xmlns attributes of the current start tag.
func (d *decoder) declare() {
	for i := range d.scan.attrs {
		a := &d.scan.attrs[i]
		var prefix []byte
		switch {
		case len(a.prefix) == 0 && string(a.local) == "xmlns":
		case string(a.prefix) == "xmlns":
			prefix = a.local
		default:
			continue
		}
		if len(d.names.declared) >= maxPrefixes {
			d.reportOnce(finding.LimitExceeded, d.scan.at, "too many namespaces")
			return
		}
		sp := spaceForeign
		switch string(trimSpace(a.value)) {
		case nsReginfo:
			sp = spaceReginfo
		case nsGRUU:
			sp = spaceGRUU
		case "":
			sp = spaceNone
		}
		d.names.declared = append(d.names.declared, declaration{prefix, sp})
	}
}

// classify says what the element of the current start tag is, and how many of
// the open elements it belongs inside of.
func (d *decoder) classify() (k kind, inside int) {
	s := &d.scan
	here := len(d.open)
	sp, decl := d.names.lookup(s.prefix)
	if d.top() == kindOutside {
		if string(s.local) != "reginfo" {
			if here == 0 {
				d.reportOnce(finding.MalformedXML, s.at, "element "+show(s.local)+" outside the reginfo element")
			}
			return kindOutside, here
		}
		if d.seen {
			d.report(finding.MalformedXML, s.at, "a second reginfo element, ignored")
			return kindForeign, here
		}
		d.adopt(sp, decl)
		return kindReginfo, here
	}
	if d.top() == kindForeign {
		return kindForeign, here
	}
	k, parent := kindUnknown, kindOutside
	switch string(s.local) {
	case "registration":
		k, parent = kindRegistration, kindReginfo
	case "contact":
		k, parent = kindContact, kindRegistration
	case "uri":
		k, parent = kindURI, kindContact
	case "display-name":
		k, parent = kindDisplayName, kindContact
	case "unknown-param":
		k, parent = kindParam, kindContact
	case "pub-gruu":
		k, parent = kindPubGRUU, kindContact
	case "temp-gruu":
		k, parent = kindTempGRUU, kindContact
	}
	gruu := k >= kindPubGRUU

	switch sp {
	case spaceForeign:
		if gruu {
			d.reportOnce(finding.NamespaceWrong, s.at, show(s.local)+" of a foreign namespace, ignored")
		}
		return kindForeign, here
	case spaceUndeclared:
		d.checkPrefix(s.prefix)
		// Only these names can be nobody else's; a "contact" of an unknown
		// prefix may be anything.
		if !gruu {
			return kindForeign, here
		}
	case spaceGRUU:
		if !gruu {
			return kindForeign, here
		}
	default:
		if sp == spaceNone {
			d.reportOnce(finding.NamespaceWrong, d.open[here-1].at, "elements of no namespace, read as reginfo")
		}
		if gruu {
			d.reportOnce(finding.NamespaceWrong, s.at, show(s.local)+" outside the namespace of RFC 5628")
		}
	}

	if k == kindUnknown {
		d.reportOnce(finding.ElementOutsideSchema, s.at, "element "+show(s.local))
		return kindUnknown, here
	}
	for i := here - 1; i >= 0 && d.open[i].kind != kindForeign; i-- {
		if d.open[i].kind != parent {
			continue
		}
		for _, between := range d.open[i+1:] {
			if between.kind != kindUnknown {
				return k, i + 1
			}
		}
		return k, here
	}
	d.reportOnce(finding.ElementOutsideSchema, s.at, show(s.local)+" inside "+show(d.open[here-1].local)+", ignored")
	return kindUnknown, here
}

// adopt takes the namespace that the root came in for reginfo's, be it wrong.
func (d *decoder) adopt(sp space, decl int) {
	s := &d.scan
	switch {
	case sp == spaceReginfo:
	case decl >= 0 && sp != spaceNone:
		d.report(finding.NamespaceWrong, s.at, "reginfo is of another namespace than "+nsReginfo)
		d.names.declared[decl].space = spaceReginfo
	case sp == spaceUndeclared:
		d.checkPrefix(s.prefix)
		d.names.ours = s.prefix
	default:
		d.reportOnce(finding.NamespaceWrong, s.at, "elements of no namespace, read as reginfo")
	}
}

// checkPrefix reports a prefix that was never declared.
func (d *decoder) checkPrefix(prefix []byte) {
	if sp, _ := d.names.lookup(prefix); sp == spaceUndeclared {
		d.reportOnce(finding.NamespaceUndeclared, d.scan.at, "prefix "+show(prefix)+" is not declared")
	}
}
