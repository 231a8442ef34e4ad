package tui

import (
	"strings"

	"regwatch/ua"
)

// thisDevice is what every row calls our own contact.
const thisDevice = "this device"

// registrationWord says the state of our registration in a word.
func registrationWord(s ua.RegistrationState) (string, level) {
	switch s {
	case ua.Registered:
		return "REGISTERED", levelGood
	case ua.Registering, ua.Unregistering, ua.Retrying:
		return strings.ToUpper(string(s)), levelBusy
	case ua.Refused, ua.Failed:
		return strings.ToUpper(string(s)), levelBad
	}
	return "UNREGISTERED", levelNone
}

// subscriptionWord says the state of the subscription in a word.
func subscriptionWord(s ua.SubscriptionState) (string, level) {
	switch s {
	case ua.Active:
		return "WATCHING", levelGood
	case ua.NotifyWait:
		return "SUBSCRIBING", levelBusy
	case ua.Pending:
		return "PENDING", levelBusy
	case ua.Terminated:
		return "NOT WATCHED", levelBad
	case ua.Unsupported:
		return "NO REG EVENT", levelNone
	case ua.Polling:
		return "POLLING", levelGood
	}
	return "NOT WATCHED", levelNone
}

// originWord says who caused a change, for a column.
func originWord(o ua.Origin) string {
	switch o {
	case ua.OriginSelf:
		return "self"
	case ua.OriginOtherDevice:
		return "other device"
	case ua.OriginNetwork:
		return "network"
	case ua.OriginElsewhere:
		return "elsewhere"
	case "":
		return ""
	}
	return "unknown"
}

// byWhom says who caused a change, after the word of what happened.
func byWhom(o ua.Origin) string {
	switch o {
	case ua.OriginSelf:
		return " by us"
	case ua.OriginOtherDevice:
		return " (other device)"
	case ua.OriginNetwork:
		return " by the network"
	case ua.OriginElsewhere:
		return " from elsewhere, not by us"
	case "":
		return ""
	}
	return ", by whom is unknown"
}

// shortInstance is the start of an instance id, enough to tell devices apart.
func shortInstance(urn string) string {
	id := urn
	if i := strings.LastIndexByte(urn, ':'); i >= 0 {
		id = urn[i+1:]
	}
	if head, _, found := strings.Cut(id, "-"); found && head != "" {
		return head
	}
	return cutEnd(id, 12)
}
