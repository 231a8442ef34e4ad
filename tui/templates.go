package tui

import "regwatch/ua"

// template is a request that testers want at once.
type template struct {
	name string
	what ua.ByHand
}

// templates are in the order in which they are offered; the first is the agent's
// own request.
var templates = []template{
	{"as the agent would send it", ua.ByHand{}},
	{"query: no Contact", ua.ByHand{Contacts: []string{ua.LeftOut}, Expires: ua.LeftOut}},
	{"remove all: Contact: *", ua.ByHand{Contacts: []string{"*"}, Expires: "0"}},
	{"Contact: * with another Expires (400)", ua.ByHand{Contacts: []string{"*"}, Expires: "60"}},
	{"Contact: * beside another (400)", ua.ByHand{Contacts: []string{"*", "<sip:second@192.0.2.99>"}, Expires: "0"}},
	{"lower CSeq (500)", ua.ByHand{CSeq: "-1"}},
	{"new Call-ID", ua.ByHand{CallID: ua.FreshCallID}},
	{"too brief an expiry (423)", ua.ByHand{Expires: "1"}},
	{"unknown Require (420)", ua.ByHand{Headers: []string{"Require: nobody-knows-this"}}},
	{"second contact", ua.ByHand{Contacts: []string{"<sip:second@192.0.2.99:5060>"}, Expires: "300"}},
	{"wrong password", ua.ByHand{Credentials: ua.CredentialsWrong}},
	{"no credentials", ua.ByHand{Credentials: ua.CredentialsNone}},
	{"SUBSCRIBE: refresh", ua.ByHand{Method: ua.MethodSubscribe}},
	{"SUBSCRIBE: unsubscribe", ua.ByHand{Method: ua.MethodSubscribe, Expires: "0"}},
	{"SUBSCRIBE: second subscription", ua.ByHand{Method: ua.MethodSubscribe, CallID: ua.FreshCallID, Expires: "300"}},
	{"SUBSCRIBE: fetch once", ua.ByHand{Method: ua.MethodSubscribe, CallID: ua.FreshCallID, Expires: "0"}},
	{"SUBSCRIBE: unknown event (489)", ua.ByHand{Method: ua.MethodSubscribe, CallID: ua.FreshCallID, Event: "nobody-knows-this"}},
}
