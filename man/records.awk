# SPDX-License-Identifier: GPL-2.0-or-later
# The schema of images as sections of jobcr-images(5): comments of a message
# before its name, of a field behind it or in the line above it.
function roff(s) {
	gsub(/\\/, "\\e", s)
	gsub(/-/, "\\-", s)
	return s
}
function flush_field() {
	if (field == "")
		return
	print ".TP"
	print field
	print note == "" ? "\\&" : roff(note)
	field = note = ""
}
function add(text, more) {
	return text == "" ? more : text " " more
}
/^\/\/ SPDX/ || /^syntax/ || /^import/ { next }
/^\/\/ / && !inside { about = add(about, substr($0, 4)); next }
/^$/ && !inside { about = ""; next }
/^message / {
	print ".SS " $2
	print about == "" ? "Part of a record above." : roff(about)
	about = ""
	inside = 1
	next
}
/^\tenum / {
	flush_field()
	print ".PP"
	print "Values of \\fI" $2 "\\fR:"
	in_enum = 1
	next
}
/^\t}/ { in_enum = 0; flush_field(); next }
/^}/ { flush_field(); inside = 0; above = ""; next }
/^\t+\/\// {
	sub(/^\t+\/\/ ?/, "")
	above = add(above, $0)
	next
}
inside && /;/ {
	flush_field()
	comment = above
	above = ""
	if (match($0, /\/\/ /))
		comment = add(comment, substr($0, RSTART + 3))
	sub(/;.*/, "")
	if (in_enum) {
		sub(/^\t+/, "")
		split($0, word, / = /)
		field = "\\fB" word[2] "\\fR " roff(word[1])
	} else {
		number = $5
		option = ""
		if (match($0, /\[.*\]/)) {
			option = ", " substr($0, RSTART + 1, RLENGTH - 2)
			gsub(/ = /, " ", option)
		}
		field = "\\fB" number "\\fR \\fI" roff($3) "\\fR (" $1 " " \
			$2 option ")"
	}
	note = comment
}
