#pragma once

#include <string>
#include <string_view>

namespace trireme {

/// M-BEIR's normalisation of every query, candidate and instruction text. Source: UniIR's format_string, as LamRA uses
/// it: drop carriage returns, strip white space, strip double quotes, upper-case the first character, and end with a
/// full stop unless the text ends in one of . ? !  Empty stays empty. Python's notions of white space and upper case.
std::string format_string(std::string_view text);

/// The text of a query under an instruction: format_string(format_string(instruction) + " " + text); the instruction
/// alone when there is no text.
std::string format_query(std::string_view instruction, std::string_view text);

}  // namespace trireme
