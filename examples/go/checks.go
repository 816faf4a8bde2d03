package main

import "fmt"

// checks counts what holds and what does not.
type checks struct{ passed, failed int }

func (c *checks) that(what string, holds bool, facts ...any) {
	if holds {
		c.passed++
		fmt.Println("ok   ", what)
		return
	}
	c.failed++
	fmt.Println(append([]any{"FAIL ", what}, facts...)...)
}

// run counts a part that stops with an error as one failure; the others go on.
func (c *checks) run(name string, part func() error) {
	if err := part(); err != nil {
		c.failed++
		fmt.Printf("FAIL  %s: %v\n", name, err)
	}
}
