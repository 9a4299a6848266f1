//! Conversion between wire messages and the domain; errors name the field.
