package main

import (
	"slices"
	"strings"

	"regwatch/ua"
)

// parsePolicies reads the value of --on: one policy for every kick, or
// EVENT=POLICY with commas between. "" gives nil.
func parsePolicies(text string) (map[ua.Kick]ua.Policy, error) {
	if text == "" {
		return nil, nil
	}
	on := map[ua.Kick]ua.Policy{}
	if !strings.Contains(text, "=") {
		policy, err := parsePolicy(text)
		for _, kick := range ua.Kicks {
			on[kick] = policy
		}
		return on, err
	}
	for part := range strings.SplitSeq(text, ",") {
		event, word, _ := strings.Cut(part, "=")
		kick := ua.Kick(strings.TrimSpace(event))
		if !slices.Contains(ua.Kicks, kick) {
			return nil, fail(statusUsage, "", "--on: event %q is unknown; there are %s", string(kick), kickNames())
		}
		policy, err := parsePolicy(word)
		if err != nil {
			return nil, err
		}
		on[kick] = policy
	}
	return on, nil
}

func parsePolicy(word string) (ua.Policy, error) {
	switch policy := ua.Policy(strings.TrimSpace(word)); policy {
	case ua.Ask, ua.Auto, ua.Never:
		return policy, nil
	}
	return "", fail(statusUsage, "regwatch watch --on auto | --on deactivated=auto,probation=never", "--on: policy %q is unknown; there are ask, auto and never", word)
}

// override puts policies over those of the accounts.
func override(accounts []ua.Account, on map[ua.Kick]ua.Policy) {
	for i := range accounts {
		merged := map[ua.Kick]ua.Policy{}
		for kick, policy := range accounts[i].On {
			merged[kick] = policy
		}
		for kick, policy := range on {
			merged[kick] = policy
		}
		accounts[i].On = merged
	}
}

func kickNames() string {
	var names []string
	for _, kick := range ua.Kicks {
		names = append(names, string(kick))
	}
	return strings.Join(names, ", ")
}
