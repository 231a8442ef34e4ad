package ua

// Verb is what a Command asks of an agent.
type Verb string

// The verbs. Each sends SIP but DoIgnore.
const (
	DoRegister    Verb = "register"    // register or refresh now; closes every open prompt
	DoUnregister  Verb = "unregister"  // remove our own contact, and stay off
	DoQuery       Verb = "query"       // REGISTER without Contact: what does the registrar hold (RFC 3261 10.2.3)
	DoRemoveAll   Verb = "remove-all"  // Contact: * with Expires: 0 (RFC 3261 10.2.2)
	DoSubscribe   Verb = "subscribe"   // subscribe, or refresh the subscription
	DoUnsubscribe Verb = "unsubscribe" // end the subscription, and stay without
	DoPing        Verb = "ping"        // OPTIONS to our own GRUU through the proxy: does it come back to this device
	DoIgnore      Verb = "ignore"      // close the prompt Prompt and leave things as they are; what was to happen by itself does not
)

// Command is a wish of the user, given to an agent by Agent.Do. Its outcome
// shows as events.
type Command struct {
	Verb   Verb
	Prompt uint64 // DoIgnore: which one
}
