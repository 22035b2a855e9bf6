//! Events and turns: the vocabulary `il.event/1`.
