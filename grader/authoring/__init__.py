"""Writing an assignment: stubs, the files for students, templates of new assignments."""
