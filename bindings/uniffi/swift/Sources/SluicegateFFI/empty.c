// SwiftPM takes a folder for a C target by a source file in it.
