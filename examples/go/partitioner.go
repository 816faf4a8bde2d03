package main

import (
	"encoding/binary"
	"math"
)

// murmur2 is 32-bit Murmur2 as Kafka's Java client has it (docs/partitioner.md).
func murmur2(key []byte) uint32 {
	const m = 0x5bd1e995
	h := 0x9747b28c ^ uint32(len(key))
	for ; len(key) >= 4; key = key[4:] {
		k := binary.LittleEndian.Uint32(key) * m
		k ^= k >> 24
		h = h*m ^ k*m
	}
	if len(key) > 0 {
		for i, b := range key {
			h ^= uint32(b) << (8 * i)
		}
		h *= m
	}
	h ^= h >> 13
	h *= m
	return h ^ h>>15
}

// partitionOf tells which partition a key goes to.
func partitionOf(key []byte, partitions int) int32 {
	return int32((murmur2(key) & math.MaxInt32) % uint32(partitions))
}
