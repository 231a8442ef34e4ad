// Package ua is the user agent: it registers an address-of-record like a phone,
// subscribes to its own registration (RFC 3680), judges what the network did to
// it, and reacts by policy. A Group runs one Agent for each account and numbers
// what they tell.
//
// An Agent's state belongs to its one goroutine; others send it Commands and
// read immutable Snapshots and Events. The registration, the subscription and
// the GRUU ledger are plain values that are given an input and the time, and
// give back what is to be done.
//
// No screen, no file but the account's state file, and no sipgo type may enter.
package ua
